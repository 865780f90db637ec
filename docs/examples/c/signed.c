/*
 * Signs a run command for a workspace that demands signatures, with OpenSSL 3 (Debian: libssl-dev), and writes it as NATS takes it:
 *
 *   cc -Wall -o signed signed.c -lcrypto
 *   ./signed c-1 Hello | nc 127.0.0.1 4222
 *
 * The first argument is the run id, the second one the message. Its standard output is a connection to a server: CONNECT, the command,
 * and PING. What is signed: docs/security.md, "Signed commands".
 * LOOPSTACK_SIGN: path of a file with the seed of a user NKey (SU...)
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUBJECT "loopstack.run.MyWorkspace.MyWorkflow"
#define KEY 32
#define SIGNATURE 64
#define LINES 5

static const char BASE32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* A header line of the command: the name, a colon, the value. */
static char lines[LINES][300];

/* Bits in, bits out: bytes are 8 of them, letters of base 32 are 5. */
static size_t regroup(const unsigned char *from, size_t count, int in, int out, unsigned char *to, int rest) {
  unsigned value = 0;
  int bits = 0;
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    value = (value << in | from[i]) & 0xffff;
    for (bits += in; bits >= out; bits -= out) to[n++] = (unsigned char)(value >> (bits - out) & ((1u << out) - 1));
  }
  if (rest && bits > 0) to[n++] = (unsigned char)(value << (out - bits) & ((1u << out) - 1));
  return n;
}

/* A seed is two bytes of prefix, the key, and a checksum. */
static int readSeed(const char *path, unsigned char key[KEY]) {
  char text[100] = "";
  unsigned char digits[100], bytes[100];
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file || !fgets(text, sizeof text, file)) return 0;
  fclose(file);
  size_t count = 0;
  for (const char *at; text[count] && (at = strchr(BASE32, text[count])) != NULL; count++) digits[count] = (unsigned char)(at - BASE32);
  if (regroup(digits, count, 5, 8, bytes, 0) != 2 + KEY + 2) return 0;
  memcpy(key, bytes + 2, KEY);
  return 1;
}

/* The public NKey of a user: a prefix, the key, and its CRC-16/XMODEM, in base 32. */
static void writeNkey(const unsigned char key[KEY], char *to) {
  unsigned char bytes[1 + KEY + 2] = {20 << 3}, digits[60];
  unsigned crc = 0;
  memcpy(bytes + 1, key, KEY);
  for (size_t i = 0; i < 1 + KEY; i++) {
    crc ^= (unsigned)bytes[i] << 8;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
  }
  bytes[1 + KEY] = (unsigned char)crc;
  bytes[1 + KEY + 1] = (unsigned char)(crc >> 8);
  size_t count = regroup(bytes, sizeof bytes, 8, 5, digits, 1);
  for (size_t i = 0; i < count; i++) to[i] = BASE32[digits[i]];
  to[count] = '\0';
}

static int byBytes(const void *a, const void *b) { return strcmp(a, b); }

/* The bytes that are signed: version, subject, SHA-256 of the body, and the header lines in their order, joined by line feeds. */
static size_t signedBytes(const char *body, char *to, size_t size) {
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *)body, strlen(body), hash);
  size_t n = (size_t)snprintf(to, size, "loopstack-command-2\n" SUBJECT "\n");
  for (size_t i = 0; i < sizeof hash; i++) n += (size_t)snprintf(to + n, size - n, "%02x", hash[i]);
  qsort(lines, LINES, sizeof lines[0], byBytes);
  for (size_t i = 0; i < LINES; i++) n += (size_t)snprintf(to + n, size - n, "\n%s", lines[i]);
  return n;
}

int main(int argc, char **argv) {
  unsigned char seed[KEY], public[KEY], signature[SIGNATURE], base64[100];
  char nkey[60], until[40], body[1000], bytes[3000], block[3000] = "NATS/1.0\r\n";
  size_t keySize = sizeof public, signatureSize = sizeof signature;
  if (argc != 3 || !readSeed(getenv("LOOPSTACK_SIGN"), seed)) {
    fprintf(stderr, "usage: LOOPSTACK_SIGN=<file with a seed> %s <run id> <message>\n", argv[0]);
    return 2;
  }
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY);
  EVP_PKEY_get_raw_public_key(key, public, &keySize);
  writeNkey(public, nkey);
  time_t end = time(NULL) + 60;
  strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime(&end));
  /* The message goes into JSON as it is: this example takes none with quotes, backslashes or control characters. */
  snprintf(body, sizeof body, "{\"userId\":\"c\",\"payload\":{\"message\":\"%s\"}}", argv[2]);

  /* All headers of the command but the signature: none may be added afterwards. */
  snprintf(lines[0], sizeof lines[0], "Nats-Msg-Id:MyWorkspace.MyWorkflow:%s", argv[1]);
  snprintf(lines[1], sizeof lines[1], "Loopstack-Run-Id:%s", argv[1]);
  snprintf(lines[2], sizeof lines[2], "Loopstack-Signer:%s", nkey);
  snprintf(lines[3], sizeof lines[3], "Loopstack-Signed-Until:%s", until);
  snprintf(lines[4], sizeof lines[4], "X-Note:Zürich — 日本");

  size_t count = signedBytes(body, bytes, sizeof bytes);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(context, signature, &signatureSize, (unsigned char *)bytes, count) != 1) {
    fprintf(stderr, "the command could not be signed\n");
    return 2;
  }
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);

  /* Base 64 for URLs, without padding. */
  EVP_EncodeBlock(base64, signature, SIGNATURE);
  for (unsigned char *at = base64; *at; at++) *at = *at == '+' ? '-' : *at == '/' ? '_' : *at == '=' ? '\0' : *at;
  for (size_t i = 0; i < LINES; i++) {
    char *colon = strchr(lines[i], ':');
    sprintf(block + strlen(block), "%.*s: %s\r\n", (int)(colon - lines[i]), lines[i], colon + 1);
  }
  sprintf(block + strlen(block), "Loopstack-Signature: 2.%s\r\n\r\n", (char *)base64);
  printf("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n");
  printf("HPUB " SUBJECT " %zu %zu\r\n%s%s\r\nPING\r\n", strlen(block), strlen(block) + strlen(body), block, body);
  return 0;
}
