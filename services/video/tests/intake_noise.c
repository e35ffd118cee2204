/* Noise for intake.c: packets that are nearly right, in buffers that end where they end, under a sanitizer. Prints how many rounds there were,
 * how many packets were taken, and how many sealed ones. */
#include "intake.c"

#include <stdio.h>
#include <stdlib.h>

enum { SLOT = 300, ROOM = 4000 };

static uint64_t chance = 88172645463325252ull;

static uint32_t any(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 16) % below;
}

/* A cipher that lets everything through but what ends in 0. */
static int begin(void *cipher, const void *kind, void *engine, const uint8_t *key, const uint8_t *nonce)
{
    (void)cipher, (void)kind, (void)engine, (void)key, (void)nonce;
    return 1;
}

static int copy(void *cipher, uint8_t *out, int *done, const uint8_t *in, int bytes)
{
    (void)cipher;
    if (out)
        memcpy(out, in, (size_t)bytes);
    *done = bytes;
    return 1;
}

static int end(void *cipher, uint8_t *out, int *rest)
{
    (void)cipher, (void)out;
    *rest = 0;
    return 1;
}

static int check(void *cipher, int what, int bytes, void *tag)
{
    (void)cipher, (void)what;
    return ((uint8_t *)tag)[bytes - 1] != 0;
}

static size_t write_packet(uint8_t *at, size_t most, uint16_t number, uint32_t ssrc)
{
    uint8_t packet[SLOT];
    size_t bytes = any(4) ? HEADER + 2 + any((uint32_t)(SLOT - HEADER - 2)) : any(SLOT);
    for (size_t i = 0; i < sizeof packet; i++)
        packet[i] = (uint8_t)any(256);
    packet[0] = any(5) ? 0x80 : any(3) ? 0x90 : (uint8_t)any(256);
    packet[1] = (uint8_t)(96 | (any(4) ? 0 : 0x80));
    packet[2] = (uint8_t)(number >> 8);
    packet[3] = (uint8_t)number;
    memset(packet + 4, 0, 4);
    for (int i = 0; i < 4; i++)
        packet[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    packet[HEADER] = any(3) ? 0x60 | FU_A : (uint8_t)any(256);
    packet[HEADER + 1] = (uint8_t)((any(3) ? 0 : any(4) << 6) | any(32));
    if (packet[0] == 0x90 && any(3))
        memset(packet + HEADER, 0, 4);
    for (uint32_t flips = any(8) ? 0 : any(5); flips; flips--)
        packet[any(SLOT)] = (uint8_t)any(256);
    bytes = bytes < most ? bytes : most;
    memcpy(at, packet, bytes);
    return bytes;
}

static void expect(struct state *state)
{
    memset(state, 0, sizeof *state);
    state->index = any(2) ? 0xFFFA : any(1 << 20);
    state->ssrc = 7;
    state->type = any(3) ? 96 : ANY;
    state->limit = any(4) ? 100000 : any(1000);
    state->begun = any(2);
    state->open = state->begun && any(2);
    state->nal = any(256);
    state->size = any(4) ? any(500) : any(0xFFFFFFFF);
}

static uint32_t look(const struct state *state, size_t room)
{
    uint32_t before = 0;
    if (state->used > room || state->start > state->used || state->count > NALS || state->taken > 2 * DATAGRAMS + ROOM)
        abort();
    for (uint32_t i = 0; i < state->count; i++) {
        if (state->nals[i].start < before || state->nals[i].end < state->nals[i].start || state->nals[i].end > state->used)
            abort();
        before = state->nals[i].end;
    }
    return state->taken;
}

int main(int count, char **words)
{
    uint32_t rounds = count > 1 ? (uint32_t)atoi(words[1]) : 1000;
    unsigned long taken = 0, opened = 0;
    init = begin, update = copy, final = end, control = check;
    for (uint32_t round = 0; round < rounds; round++) {
        struct batch batch;
        struct state *state = &batch.state;
        unsigned datagrams = any(DATAGRAMS + 1), first = datagrams ? any(datagrams) : 0;
        size_t room = any(3) ? ROOM : any(ROOM) + 1, bytes = 0;
        /* on the heap and no longer than said, so that a byte too far is seen */
        uint8_t *slots = malloc((size_t)datagrams * SLOT + 1), *joined = malloc(room), salt[SALT] = {1};
        intake_prepare(&batch, slots, SLOT, joined, room);
        expect(state);
        for (unsigned i = 0; i < datagrams; i++) {
            batch.address_bytes[i] = any(20) ? 16 : any(129);
            batch.lengths[i] = (uint32_t)write_packet(slots + (size_t)i * SLOT, SLOT, (uint16_t)(state->index + i - first), 7);
        }
        if (any(2)) {
            intake_plain(&batch, first, datagrams);
            taken += look(state, room);
        } else {
            intake_sealed(&batch, first, datagrams, NULL, salt);
            opened += look(state, room);
        }
        free(slots);
        expect(state);
        uint8_t *stream = malloc(ROOM + 4);
        for (uint16_t number = (uint16_t)state->index; bytes < ROOM && any(30); number++) {
            size_t head = bytes, length = ROOM - bytes;
            bytes += 4;
            length = length > 4 ? write_packet(stream + bytes, length - 4, number, 7) : 0;
            bytes += length;
            length = any(10) ? length : any(65536);
            stream[head] = 0x24, stream[head + 1] = (uint8_t)(any(20) ? 0 : 1), stream[head + 2] = (uint8_t)(length >> 8), stream[head + 3] = (uint8_t)length;
        }
        uint8_t *exact = malloc(bytes + 1);
        memcpy(exact, stream, bytes);
        exact = realloc(exact, bytes ? bytes : 1);
        if (intake_interleaved(&batch, exact, bytes, bytes ? any((uint32_t)(any(4) ? 1 : bytes + 2)) : 0, 0x2400) > bytes + 1)
            abort();
        taken += look(state, room);
        free(exact), free(stream), free(joined);
    }
    printf("%u %lu %lu\n", rounds, taken, opened);
    return 0;
}
