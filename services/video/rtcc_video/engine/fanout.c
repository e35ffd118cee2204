/* Protects the packets of one picture for many viewers (SRTP with AES-128-GCM, RFC 7714) and hands them to the kernel.
 *
 * Optional: `lanes.py` does the same in Python, byte for byte. The cipher is OpenSSL's, found in a library that is loaded anyway;
 * only its functions' names are known here, so that neither headers nor a linker's path are needed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { HEADER = 12, MARKER = 0x80, TAG = 16, SALT = 12, SCRATCH = 192 * 1024, MESSAGES = 64, UDP_LEVEL = 17, UDP_SEGMENT_OPTION = 103, GCM_GET_TAG = 16 };

struct viewer {
    void *cipher;
    uint8_t salt[SALT];
    uint32_t address_bytes;
    struct sockaddr_storage address;
    int32_t dropped; /* packets of this call that the kernel didn't take */
};

struct run {
    uint32_t packets;
    uint32_t size; /* bytes of a packet's payload; the last may have fewer */
};

static void *(*ctx_new)(void);
static void (*ctx_free)(void *);
static const void *(*aes_128_gcm)(void);
static int (*init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
static int (*update)(void *, uint8_t *, int *, const uint8_t *, int);
static int (*final)(void *, uint8_t *, int *);
static int (*control)(void *, int, int, void *);

/* 0 when the library at `path` has what is needed. */
int fanout_open(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return -1;
    *(void **)&ctx_new = dlsym(library, "EVP_CIPHER_CTX_new");
    *(void **)&ctx_free = dlsym(library, "EVP_CIPHER_CTX_free");
    *(void **)&aes_128_gcm = dlsym(library, "EVP_aes_128_gcm");
    *(void **)&init = dlsym(library, "EVP_EncryptInit_ex");
    *(void **)&update = dlsym(library, "EVP_EncryptUpdate");
    *(void **)&final = dlsym(library, "EVP_EncryptFinal_ex");
    *(void **)&control = dlsym(library, "EVP_CIPHER_CTX_ctrl");
    return ctx_new && ctx_free && aes_128_gcm && init && update && final && control ? 0 : -2;
}

void *fanout_cipher(const uint8_t *key)
{
    void *cipher = ctx_new();
    if (cipher && init(cipher, aes_128_gcm(), NULL, key, NULL) != 1) {
        ctx_free(cipher);
        return NULL;
    }
    return cipher;
}

void fanout_free(void *cipher)
{
    ctx_free(cipher);
}

struct batch {
    struct mmsghdr messages[MESSAGES];
    struct iovec pieces[MESSAGES];
    struct viewer *viewers[MESSAGES];
    struct run runs[MESSAGES];
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr aligned;
    } controls[MESSAGES];
    unsigned count;
    size_t used;
    uint8_t scratch[SCRATCH];
};

static int refused(int error)
{
    return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == ENOPROTOOPT;
}

static void send_singly(int fd, struct batch *batch, unsigned which)
{
    struct viewer *viewer = batch->viewers[which];
    uint8_t *next = batch->pieces[which].iov_base, *end = next + batch->pieces[which].iov_len;
    size_t size = batch->runs[which].size + HEADER + TAG;
    while (next < end) {
        size_t bytes = (size_t)(end - next) < size ? (size_t)(end - next) : size;
        if (sendto(fd, next, bytes, 0, (struct sockaddr *)&viewer->address, viewer->address_bytes) < 0)
            viewer->dropped++;
        next += bytes;
    }
}

static void flush(int fd, struct batch *batch, int *offload)
{
    unsigned done = 0;
    while (done < batch->count) {
        int sent = *offload ? sendmmsg(fd, batch->messages + done, batch->count - done, 0) : -1;
        if (sent > 0) {
            done += (unsigned)sent;
            continue;
        }
        if (!*offload) {
            send_singly(fd, batch, done);
        } else if (batch->runs[done].packets > 1 && refused(errno)) {
            *offload = 0;
            continue;
        } else {
            batch->viewers[done]->dropped += (int32_t)batch->runs[done].packets;
        }
        done++;
    }
    batch->count = 0;
    batch->used = 0;
}

/* `header`: of the first packet; the others' differ in the sequence number, the low 16 bits of their index, and the last has the marker.
 * `payloads`: of all packets, one behind the other, the runs' last ones shorter as `lengths` says. `first_index`: roll-over counter << 16 |
 * sequence number of the first packet, for all viewers. Returns how many packets were dropped; *offload becomes 0 when the kernel refuses
 * segmentation. */
int fanout_send(int fd, struct viewer **viewers, unsigned viewer_count, const uint8_t *header, const uint8_t *payloads, const struct run *runs,
                unsigned run_count, const uint32_t *lengths, uint32_t ssrc, uint64_t first_index, int *offload, struct batch *batch)
{
    int dropped = 0;
    batch->count = 0;
    batch->used = 0;
    for (unsigned v = 0; v < viewer_count; v++)
        viewers[v]->dropped = 0;
    for (unsigned v = 0; v < viewer_count; v++) {
        struct viewer *viewer = viewers[v];
        const uint8_t *payload = payloads;
        const uint32_t *length = lengths;
        uint64_t index = first_index;
        for (unsigned r = 0; r < run_count; r++) {
            size_t needed = (size_t)runs[r].packets * (runs[r].size + HEADER + TAG);
            if (needed > SCRATCH)
                return -1;
            if (batch->count == MESSAGES || batch->used + needed > SCRATCH)
                flush(fd, batch, offload);
            uint8_t *start = batch->scratch + batch->used, *out = start;
            int sealed = 1;
            for (unsigned p = 0; p < runs[r].packets; p++, index++, length++) {
                uint8_t nonce[SALT] = {0, 0, ssrc >> 24, ssrc >> 16, ssrc >> 8, ssrc, index >> 40, index >> 32, index >> 24, index >> 16, index >> 8, index};
                int bytes = 0, rest = 0;
                for (int b = 0; b < SALT; b++)
                    nonce[b] ^= viewer->salt[b];
                memcpy(out, header, HEADER);
                out[1] |= r + 1 == run_count && p + 1 == runs[r].packets ? MARKER : 0;
                out[2] = index >> 8;
                out[3] = index;
                sealed &= init(viewer->cipher, NULL, NULL, NULL, nonce) == 1 && update(viewer->cipher, NULL, &bytes, out, HEADER) == 1 &&
                          update(viewer->cipher, out + HEADER, &bytes, payload, (int)*length) == 1 &&
                          final(viewer->cipher, out + HEADER + bytes, &rest) == 1 &&
                          control(viewer->cipher, GCM_GET_TAG, TAG, out + HEADER + *length) == 1;
                payload += *length;
                out += HEADER + *length + TAG;
            }
            if (!sealed) { /* never send what isn't encrypted */
                viewer->dropped += (int32_t)runs[r].packets;
                continue;
            }
            unsigned slot = batch->count++;
            struct msghdr *message = &batch->messages[slot].msg_hdr;
            batch->used += (size_t)(out - start);
            batch->viewers[slot] = viewer;
            batch->runs[slot] = runs[r];
            batch->pieces[slot] = (struct iovec){start, (size_t)(out - start)};
            memset(message, 0, sizeof *message);
            message->msg_name = &viewer->address;
            message->msg_namelen = viewer->address_bytes;
            message->msg_iov = &batch->pieces[slot];
            message->msg_iovlen = 1;
            if (runs[r].packets > 1) {
                uint16_t segment = (uint16_t)(runs[r].size + HEADER + TAG);
                message->msg_control = batch->controls[slot].bytes;
                message->msg_controllen = sizeof batch->controls[slot].bytes;
                struct cmsghdr *segments = CMSG_FIRSTHDR(message);
                segments->cmsg_level = UDP_LEVEL;
                segments->cmsg_type = UDP_SEGMENT_OPTION;
                segments->cmsg_len = CMSG_LEN(sizeof segment);
                memcpy(CMSG_DATA(segments), &segment, sizeof segment);
            }
        }
    }
    flush(fd, batch, offload);
    for (unsigned v = 0; v < viewer_count; v++)
        dropped += viewers[v]->dropped;
    return dropped;
}

/* A NAL unit above `limit` bytes to FU-A payloads as `packetizer.py` makes them (RFC 6184, 5.8): fragments of equal size, the last one shorter, in
 * runs of at most `run_limit`. `payloads` has room for `bytes` + 2 for each fragment, `lengths` for all fragments. Returns the number of runs. */
unsigned fanout_fragment(const uint8_t *nal, size_t bytes, size_t limit, unsigned run_limit, uint8_t *payloads, uint32_t *lengths, struct run *runs)
{
    size_t body = bytes - 1, count = (body + limit - 3) / (limit - 2), size = (body + count - 1) / count;
    unsigned run_count = 0;
    for (size_t f = 0; f < count; f++) {
        size_t start = f * size, length = f + 1 < count ? size : body - start;
        payloads[0] = (nal[0] & 0xE0) | 28;
        payloads[1] = (nal[0] & 0x1F) | (f == 0 ? 0x80 : f + 1 == count ? 0x40 : 0);
        memcpy(payloads + 2, nal + 1 + start, length);
        payloads += length + 2;
        lengths[f] = (uint32_t)(length + 2);
        if (f % run_limit == 0)
            runs[run_count++] = (struct run){0, lengths[f]};
        runs[run_count - 1].packets++;
    }
    return run_count;
}

size_t fanout_batch_bytes(void)
{
    return sizeof(struct batch);
}

size_t fanout_viewer_bytes(void)
{
    return sizeof(struct viewer);
}
