// What Verilator's FST writer calls of LZ4, so that a waveform needs no library to be installed. build.py puts this folder
// before the system's. Any reader's LZ4 decodes it: the output is an LZ4 block, a row of sequences
//
//     token | more literal length | literals | offset, 2 bytes | more match length
//
// where the token's upper half is the number of literals, its lower half the match's length less 4, 15 in either says that bytes
// follow to be added, up to one below 255, and the last sequence ends after its literals.
// Format: github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace weft::lz4 {

constexpr int MIN_MATCH = 4;
constexpr int LAST_LITERALS = 5;      // the block's last bytes, never part of a match
constexpr int LAST_START = 12;        // no match starts closer to the end
constexpr int WINDOW = 0xFFFF;        // how far back a match may lie
constexpr int HASH_BITS = 13;
constexpr int PATIENCE_BITS = 6;      // after each 64 places without a match the search takes longer strides

inline uint32_t four_bytes(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

inline uint32_t hash(const uint8_t* at) { return four_bytes(at) * 2654435761u >> (32 - HASH_BITS); }  // Knuth's multiplier

inline uint8_t* put_rest(uint8_t* out, int length) {
    for (; length >= 255; length -= 255) *out++ = 255;
    *out++ = uint8_t(length);
    return out;
}

// One sequence; without a match (`match` = 0) the last one.
inline uint8_t* put_sequence(uint8_t* out, const uint8_t* literals, int count, int offset, int match) {
    const int over = match ? match - MIN_MATCH : 0;
    *out++ = uint8_t((count < 15 ? count : 15) << 4 | (over < 15 ? over : 15));
    if (count >= 15) out = put_rest(out, count - 15);
    if (count) std::memcpy(out, literals, count);
    out += count;
    if (!match) return out;
    *out++ = uint8_t(offset), *out++ = uint8_t(offset >> 8);
    return over >= 15 ? put_rest(out, over - 15) : out;
}

// Greedy: the first match that the hash of the next four bytes finds is taken as long as it goes. Returns the bytes written.
inline int compress(const uint8_t* source, int size, uint8_t* target) {
    static thread_local std::vector<int> seen(1 << HASH_BITS);  // where four bytes of this hash were last
    std::fill(seen.begin(), seen.end(), -1);
    uint8_t* out = target;
    int anchor = 0;  // first byte not yet written
    for (int at = 0, missed = 0; at <= size - LAST_START;) {
        int& slot = seen[hash(source + at)];
        int from = slot;
        slot = at;
        if (from < 0 || at - from > WINDOW || four_bytes(source + from) != four_bytes(source + at)) {
            at += 1 + (missed++ >> PATIENCE_BITS);
            continue;
        }
        int end = at + MIN_MATCH;
        const int offset = at - from;
        while (end < size - LAST_LITERALS && source[end] == source[end - offset]) end++;
        while (at > anchor && from > 0 && source[at - 1] == source[from - 1]) at--, from--;
        out = put_sequence(out, source + anchor, at - anchor, offset, end - at);
        anchor = at = end;
        missed = 0;
    }
    return int(put_sequence(out, source + anchor, size - anchor, 0, 0) - target);
}

}  // namespace weft::lz4

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

// The bytes written; 0 if `target` could be too small.
inline int LZ4_compress_default(const char* source, char* target, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    return weft::lz4::compress(reinterpret_cast<const uint8_t*>(source), size, reinterpret_cast<uint8_t*>(target));
}
