/* Reads many datagrams in one call and joins the packets of pictures in their order (RFC 3550, RFC 6184), opening SRTP first where need be
 * (AES-128-GCM, RFC 7714).
 *
 * Optional, as `fanout.c` is: `depacketizer.py` and `unprotect.py` do the same packet by packet. Only what is exactly in its place is taken
 * here; at anything else the function stops without a trace of it, and Python goes on. All bytes are a stranger's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { DATAGRAMS = 64, NALS = 64, HEADER = 12, TAG = 16, SALT = 12, SEALED_BYTES = 4096, GCM_SET_TAG = 17, ANY = 0x80 };
enum { FU_A = 28, FU_START = 0x80, FU_END = 0x40, FU_BOTH = 0xC0 };

struct nal {
    uint32_t start, end, timestamp, marker;
};

/* What the next packet must be, as Python fills it in, moved on by each packet that is taken; and what came of them. */
struct state {
    uint64_t index;     /* roll-over counter << 16 | sequence number; without SRTP only the number counts */
    uint32_t ssrc;      /* not looked at inside of an RTSP connection */
    uint32_t type;      /* of the payload; ANY: whichever */
    uint32_t limit;     /* bytes of one picture */
    uint32_t timestamp;
    uint32_t begun;     /* whether a picture has begun: then the time stamp counts */
    uint32_t open;      /* whether a NAL unit has begun whose last fragment isn't here */
    uint32_t nal;       /* its first byte */
    uint32_t size;      /* payload bytes of the picture so far */
    uint32_t taken, octets, payload_octets;
    uint32_t used;      /* of `joined` */
    uint32_t start;     /* where in it the open NAL unit begins, or goes on from an earlier call */
    uint32_t count;
    struct nal nals[NALS];
};

struct batch {
    uint32_t lengths[DATAGRAMS];
    uint32_t address_bytes[DATAGRAMS];
    struct sockaddr_storage addresses[DATAGRAMS];
    struct state state;
    uint8_t *slots, *joined;
    size_t slot_bytes, room;
    unsigned used; /* by the reading before */
    struct mmsghdr messages[DATAGRAMS];
    struct iovec pieces[DATAGRAMS];
};
_Static_assert(offsetof(struct batch, addresses) == 8 * DATAGRAMS && sizeof(struct sockaddr_storage) == 128 &&
                   offsetof(struct batch, state) == 136 * DATAGRAMS && offsetof(struct state, nals) == 64,
               "intake.py knows this layout");

static void *(*ctx_new)(void);
static void (*ctx_free)(void *);
static const void *(*aes_128_gcm)(void);
static int (*init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
static int (*update)(void *, uint8_t *, int *, const uint8_t *, int);
static int (*final)(void *, uint8_t *, int *);
static int (*control)(void *, int, int, void *);

/* 0 when the library at `path` has what is needed. */
int intake_open(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return -1;
    *(void **)&ctx_new = dlsym(library, "EVP_CIPHER_CTX_new");
    *(void **)&ctx_free = dlsym(library, "EVP_CIPHER_CTX_free");
    *(void **)&aes_128_gcm = dlsym(library, "EVP_aes_128_gcm");
    *(void **)&init = dlsym(library, "EVP_DecryptInit_ex");
    *(void **)&update = dlsym(library, "EVP_DecryptUpdate");
    *(void **)&final = dlsym(library, "EVP_DecryptFinal_ex");
    *(void **)&control = dlsym(library, "EVP_CIPHER_CTX_ctrl");
    return ctx_new && ctx_free && aes_128_gcm && init && update && final && control ? 0 : -2;
}

void *intake_cipher(const uint8_t *key)
{
    void *cipher = ctx_new();
    if (cipher && init(cipher, aes_128_gcm(), NULL, key, NULL) != 1) {
        ctx_free(cipher);
        return NULL;
    }
    return cipher;
}

void intake_free(void *cipher)
{
    ctx_free(cipher);
}

/* `slots`: room for DATAGRAMS datagrams of `slot_bytes`; `joined`: `room` bytes for what is taken in one call. */
void intake_prepare(struct batch *batch, uint8_t *slots, size_t slot_bytes, uint8_t *joined, size_t room)
{
    memset(batch, 0, sizeof *batch);
    batch->slots = slots;
    batch->slot_bytes = slot_bytes;
    batch->joined = joined;
    batch->room = room;
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        batch->pieces[i] = (struct iovec){slots + i * slot_bytes, slot_bytes};
        batch->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &batch->addresses[i], .msg_namelen = sizeof batch->addresses[i], .msg_iov = &batch->pieces[i], .msg_iovlen = 1};
    }
}

/* Up to DATAGRAMS datagrams to the slots; what is longer is cut. Returns how many, or -errno. */
int intake_receive(struct batch *batch, int fd)
{
    for (unsigned i = 0; i < batch->used; i++)
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->addresses[i];
    batch->used = 0;
    int count = recvmmsg(fd, batch->messages, DATAGRAMS, MSG_DONTWAIT, NULL);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        size_t bytes = batch->messages[i].msg_len, named = batch->messages[i].msg_hdr.msg_namelen;
        batch->lengths[i] = (uint32_t)(bytes < batch->slot_bytes ? bytes : batch->slot_bytes);
        batch->address_bytes[i] = (uint32_t)(named < sizeof batch->addresses[i] ? named : sizeof batch->addresses[i]);
    }
    batch->used = (unsigned)count;
    return count;
}

static uint32_t read_16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t read_32(const uint8_t *at)
{
    return read_16(at) << 16 | read_16(at + 2);
}

static int is_slice(uint32_t nal)
{
    uint32_t kind = nal & 0x1F;
    return kind == 1 || kind == 2 || kind == 5;
}

/* One packet's payload to `joined`, as `Depacketizer.push` would take it while nothing is missing; 0, and nothing changed, if it wouldn't. */
static int take(struct batch *batch, const uint8_t *payload, size_t bytes, int marker, uint32_t timestamp)
{
    struct state *state = &batch->state;
    uint8_t *joined = batch->joined;
    size_t room = batch->room;
    if (bytes < 1 || bytes > room || state->used > room - bytes || state->count >= NALS)
        return 0;
    if (state->size > state->limit || bytes > state->limit - state->size || (state->begun && timestamp != state->timestamp))
        return 0;
    uint32_t kind = payload[0] & 0x1F, nal = state->nal;
    int starts = 1, ends = 1;
    const uint8_t *end = payload + bytes;
    if (kind == FU_A) {
        if (bytes < 3 || (payload[1] & FU_BOTH) == FU_BOTH)
            return 0;
        starts = (payload[1] & FU_START) != 0;
        ends = (payload[1] & FU_END) != 0;
        if (starts)
            nal = (payload[0] & 0xE0) | (payload[1] & 0x1F);
        payload += 2;
    } else if (kind >= 1 && kind <= 23) {
        nal = *payload++;
    } else {
        return 0;
    }
    /* after the end of a picture without a slice its parameter sets wait for the next one: not for here */
    if (starts == (int)state->open || (marker && !(ends && is_slice(nal))))
        return 0;
    if (starts) {
        state->start = state->used;
        joined[state->used++] = (uint8_t)nal;
    }
    memcpy(joined + state->used, payload, (size_t)(end - payload));
    state->used += (uint32_t)(end - payload);
    state->nal = nal;
    state->open = !ends;
    state->timestamp = timestamp;
    if (ends) {
        state->nals[state->count++] = (struct nal){state->start, state->used, timestamp, marker != 0};
        state->start = state->used;
    }
    state->begun = !marker;
    state->size = marker ? 0 : state->size + (uint32_t)bytes;
    state->index++;
    state->taken++;
    state->payload_octets += (uint32_t)bytes;
    return 1;
}

static int is_next(const struct state *state, const uint8_t *packet)
{
    return read_16(packet + 2) == (state->index & 0xFFFF) && (state->type == ANY || (packet[1] & 0x7Fu) == state->type);
}

static int same_sender(const struct batch *batch, unsigned one, unsigned other)
{
    return batch->address_bytes[one] == batch->address_bytes[other] &&
           !memcmp(&batch->addresses[one], &batch->addresses[other], batch->address_bytes[one]);
}

/* Plain RTP from slot `first` on, as far as all of it comes from the same address. */
void intake_plain(struct batch *batch, unsigned first, unsigned count)
{
    struct state *state = &batch->state;
    for (unsigned i = first; i < count && i < DATAGRAMS && same_sender(batch, first, i); i++) {
        const uint8_t *packet = batch->slots + i * batch->slot_bytes;
        size_t bytes = batch->lengths[i];
        if (bytes <= HEADER || packet[0] != 0x80 || !is_next(state, packet) || read_32(packet + 8) != state->ssrc)
            return;
        if (!take(batch, packet + HEADER, bytes - HEADER, packet[1] & 0x80, read_32(packet + 4)))
            return;
        state->octets += (uint32_t)bytes;
    }
}

/* RTP inside an RTSP connection (RFC 2326, 10.12) from `at` on; `mark`: "$" << 8 | channel. Returns where it stopped. */
size_t intake_interleaved(struct batch *batch, const uint8_t *buffer, size_t bytes, size_t at, uint32_t mark)
{
    struct state *state = &batch->state;
    while (at < bytes && bytes - at > 4 + HEADER) {
        const uint8_t *packet = buffer + at + 4;
        size_t length = read_16(packet - 2);
        if (read_16(packet - 4) != mark || length <= HEADER || length > bytes - at - 4 || packet[0] != 0x80 || !is_next(state, packet))
            break;
        if (!take(batch, packet + HEADER, length - HEADER, packet[1] & 0x80, read_32(packet + 4)))
            break;
        at += 4 + length;
    }
    return at;
}

/* SRTP from slot `first` on, as far as all of it comes from the same address. What isn't authentic is left, as everything unexpected is. */
void intake_sealed(struct batch *batch, unsigned first, unsigned count, void *cipher, const uint8_t *salt)
{
    struct state *state = &batch->state;
    uint8_t plain[SEALED_BYTES];
    for (unsigned i = first; i < count && i < DATAGRAMS && same_sender(batch, first, i); i++) {
        const uint8_t *packet = batch->slots + i * batch->slot_bytes;
        size_t bytes = batch->lengths[i], offset = HEADER;
        if (bytes <= HEADER + TAG || bytes > SEALED_BYTES || (packet[0] & ~0x10) != 0x80 || (packet[1] >= 192 && packet[1] <= 223))
            return;
        if (!is_next(state, packet) || read_32(packet + 8) != state->ssrc)
            return;
        if (packet[0] & 0x10)
            offset += 4 + 4 * (size_t)read_16(packet + HEADER + 2);
        if (offset + TAG >= bytes)
            return;
        uint32_t ssrc = state->ssrc;
        uint64_t index = state->index;
        uint8_t nonce[SALT] = {0, 0, ssrc >> 24, ssrc >> 16, ssrc >> 8, ssrc, index >> 40, index >> 32, index >> 24, index >> 16, index >> 8, index};
        uint8_t tag[TAG];
        int done = 0, rest = 0, length = (int)(bytes - offset - TAG);
        for (int b = 0; b < SALT; b++)
            nonce[b] ^= salt[b];
        memcpy(tag, packet + bytes - TAG, TAG);
        if (init(cipher, NULL, NULL, NULL, nonce) != 1 || update(cipher, NULL, &done, packet, (int)offset) != 1 ||
            update(cipher, plain, &done, packet + offset, length) != 1 || control(cipher, GCM_SET_TAG, TAG, tag) != 1 ||
            final(cipher, plain + done, &rest) != 1 || done + rest != length)
            return;
        if (!take(batch, plain, (size_t)length, packet[1] & 0x80, read_32(packet + 4)))
            return;
        state->octets += (uint32_t)bytes;
    }
}

size_t intake_batch_bytes(void)
{
    return sizeof(struct batch);
}
