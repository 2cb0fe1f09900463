// A digest of what the output stage wrote: two runs that write the same bytes to the same places in the same order have the same.
#pragma once
#include <cstdint>

namespace weft {

// FNV-1a, 64 bits (G. Fowler, L. C. Noll, K. Vo, The FNV Non-Cryptographic Hash Algorithm, RFC 9923).
class Digest {
public:
    // One write: `mask` has a bit a byte; bytes that are not written do not count.
    void add(uint32_t address, uint64_t mask, const uint8_t* data, unsigned bytes) {
        for (unsigned i = 0; i < bytes; i++)
            if (mask >> i & 1) {
                const uint32_t at = address + i;
                for (unsigned shift = 0; shift < 32; shift += 8) add(uint8_t(at >> shift));
                add(data[i]);
            }
    }
    uint64_t value() const { return value_; }

private:
    void add(uint8_t byte) { value_ = (value_ ^ byte) * 0x00000100000001B3ull; }

    uint64_t value_ = 0xCBF29CE484222325ull;
};

}  // namespace weft
