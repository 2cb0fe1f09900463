// What Verilator's FST writer calls of zlib, so that a waveform needs no library to be installed. build.py puts this folder
// before the system's. It stores: the writer keeps what does not become smaller as it is, and what it gives to zlib (times, first
// values, widths) is little beside the changes, which go to LZ4.
// Format: RFC 1950 (stream), RFC 1951, 3.2.4 (stored blocks).
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = uLong;
constexpr int Z_OK = 0, Z_BUF_ERROR = -5;

namespace weft::zlib {

constexpr uLong BLOCK = 0xFFFF;  // bytes in a stored block

inline uint32_t adler32(const Bytef* bytes, uLong count) {
    uint32_t sum = 1, sums = 0;
    for (uLong i = 0; i < count; i++) sum = (sum + bytes[i]) % 65521, sums = (sums + sum) % 65521;
    return sums << 16 | sum;
}

}  // namespace weft::zlib

inline uLong compressBound(uLong size) { return 2 + 5 * (size / weft::zlib::BLOCK + 1) + size + 4; }

inline int compress2(Bytef* target, uLongf* target_size, const Bytef* source, uLong size, int /* level */) {
    if (*target_size < compressBound(size)) return Z_BUF_ERROR;
    Bytef* out = target;
    *out++ = 0x78, *out++ = 0x01;  // deflate with a window of 32 KiB; a multiple of 31
    for (uLong done = 0, part; done == 0 || done < size; done += part) {
        part = std::min(size - done, weft::zlib::BLOCK);
        *out++ = done + part == size;  // the last block
        for (const uLong half : {part, ~part}) *out++ = Bytef(half), *out++ = Bytef(half >> 8);
        if (part) std::memcpy(out, source + done, part);
        out += part;
        if (!part) break;
    }
    const uint32_t check = weft::zlib::adler32(source, size);
    for (int shift = 24; shift >= 0; shift -= 8) *out++ = Bytef(check >> shift);
    *target_size = uLongf(out - target);
    return Z_OK;
}
