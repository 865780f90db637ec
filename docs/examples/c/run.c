/*
 * Starts a run and waits for its outcome, with the NATS C client (Debian: libnats-dev): ./run [message]
 *
 *   cc -Wall -o run run.c -lnats
 *
 * NATS_URL: nats://host:port, default nats://127.0.0.1:4222
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKSPACE "MyWorkspace"
#define WORKFLOW "MyWorkflow"
#define RUN_ID_HEADER "Loopstack-Run-Id"
#define MSG_ID_HEADER "Nats-Msg-Id"

/* The text as the inside of a JSON string. */
static void escape(char *to, size_t size, const char *from) {
  size_t n = 0;
  for (; *from && n + 7 < size; from++) {
    unsigned char c = (unsigned char)*from;
    if (c == '"' || c == '\\') to[n++] = '\\', to[n++] = (char)c;
    else if (c < 0x20) n += (size_t)snprintf(to + n, size - n, "\\u%04x", c);
    else to[n++] = (char)c;
  }
  to[n] = '\0';
}

/* Whether an event is of this type: `type` is written first. */
static int is(natsMsg *event, const char *type) {
  char start[40];
  int length = snprintf(start, sizeof start, "{\"type\":\"%s\"", type);
  return natsMsg_GetDataLength(event) >= length && memcmp(natsMsg_GetData(event), start, (size_t)length) == 0;
}

static natsStatus publish(jsCtx *js, const char *id, const char *message) {
  natsMsg *command = NULL;
  jsPubAck *stored = NULL;
  char text[4096], body[5000], msgId[200];
  escape(text, sizeof text, message);
  int length = snprintf(body, sizeof body, "{\"userId\":\"c\",\"payload\":{\"message\":\"%s\"}}", text);
  /* Publishing the same id again starts no second run. */
  snprintf(msgId, sizeof msgId, WORKSPACE "." WORKFLOW ":%s", id);
  natsStatus s = natsMsg_Create(&command, "loopstack.run." WORKSPACE "." WORKFLOW, NULL, body, length);
  if (s == NATS_OK) s = natsMsgHeader_Set(command, RUN_ID_HEADER, id);
  if (s == NATS_OK) s = natsMsgHeader_Set(command, MSG_ID_HEADER, msgId);
  /* Returns when the stream has stored the command. */
  if (s == NATS_OK) s = js_PublishMsg(&stored, js, command, NULL, NULL);
  jsPubAck_Destroy(stored);
  natsMsg_Destroy(command);
  return s;
}

int main(int argc, char **argv) {
  const char *url = getenv("NATS_URL");
  natsConnection *nc = NULL;
  natsSubscription *events = NULL;
  jsCtx *js = NULL;
  char id[64], subject[200];
  int code = 3;
  snprintf(id, sizeof id, "c-%ld-%d", (long)time(NULL), (int)getpid());
  snprintf(subject, sizeof subject, "loopstack.event." WORKSPACE "." WORKFLOW ".%s", id);

  natsStatus s = natsConnection_ConnectTo(&nc, url ? url : "nats://127.0.0.1:4222");
  if (s == NATS_OK) s = natsConnection_JetStream(&js, nc, NULL);
  /* Before it publishes, so that no event is missed. */
  if (s == NATS_OK) s = natsConnection_SubscribeSync(&events, nc, subject);
  if (s == NATS_OK) s = publish(js, id, argc > 1 ? argv[1] : "Hello");
  while (s == NATS_OK && code == 3) {
    natsMsg *event = NULL;
    s = natsSubscription_NextMsg(&event, events, 30000);
    if (s != NATS_OK) break;
    if (is(event, "succeeded")) code = 0;
    else if (is(event, "failed") || is(event, "canceled") || is(event, "expired")) code = 1;
    if (code != 3) printf("%.*s\n", natsMsg_GetDataLength(event), natsMsg_GetData(event));
    natsMsg_Destroy(event);
  }
  if (s != NATS_OK) {
    fprintf(stderr, "%s\n", natsStatus_GetText(s));
    code = s == NATS_TIMEOUT ? 3 : 2;
  }
  natsSubscription_Destroy(events);
  jsCtx_Destroy(js);
  natsConnection_Destroy(nc);
  nats_Close();
  return code;
}
