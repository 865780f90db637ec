import type { JetStreamApi } from './jetstream-api.js';

type Page = readonly (readonly [subject: string, messages: number])[];

/**
 * Subjects of a stream below a filter, with their number of messages, in pages of the server's size (100,000): of many, no more than a
 * page is held. What goes while they are read may hide others.
 */
export async function* subjectPages(api: JetStreamApi, stream: string, filter: string): AsyncGenerator<Page> {
  for (let seen = 0; ;) {
    const { state, total = 0 } = await api.streamInfo(stream, { subjects_filter: filter, offset: seen });
    const page = Object.entries(state.subjects ?? {});
    yield page;
    seen += page.length;
    if (page.length === 0 || seen >= total) return;
  }
}

/** All of them, where they are known to be few. */
export async function subjectsOf(api: JetStreamApi, stream: string, filter: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for await (const page of subjectPages(api, stream, filter)) for (const [subject, messages] of page) found.set(subject, messages);
  return found;
}

/** Names of the consumers of a stream. */
export async function consumerNames(api: JetStreamApi, stream: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (;;) {
    const query = { offset: names.size };
    const { consumers, total } = await api.read<{ total: number; consumers?: readonly string[] | null }>(`CONSUMER.NAMES.${stream}`, query);
    for (const name of consumers ?? []) names.add(name);
    if (!consumers?.length || names.size >= total) return names;
  }
}
