// Pictures of a camera or a display, and the beats that each of them lost.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace weft {

// A picture with faults: its number since reset, from 1 on; the cycle of the first fault; how many beats.
struct Fault { uint64_t picture, cycle, beats; };

class Pictures {
public:
    std::vector<Fault> faults;
    std::vector<uint64_t> digests;  // of each complete picture that is shown: the sum of its 64-bit words, each times its place from 1 on

    // The bytes of a beat that is shown; a beat may be a part of a word.
    void show(const uint8_t* bytes, unsigned count) {
        for (unsigned i = 0; i < count; i += 8) {
            const unsigned part = std::min(8u, count - i);
            uint64_t word = 0;
            std::memcpy(&word, bytes + i, part);
            digest_ += (shown_ / 8 + 1) * (word << 8 * (shown_ % 8));
            shown_ += part;
        }
    }

    void see(uint64_t cycle, bool start, bool fault) {
        if (start) {
            if (begun_) digests.push_back(digest_);
            begun_++, digest_ = shown_ = 0;
        }
        if (!fault) return;
        if (faults.empty() || faults.back().picture != begun_) faults.push_back({begun_, cycle, 0});
        faults.back().beats++;
    }
    bool running() const { return begun_; }
    uint64_t complete() const { return begun_ ? begun_ - 1 : 0; }

private:
    uint64_t begun_ = 0, digest_ = 0;
    uint64_t shown_ = 0;  // bytes of the present picture; beats are as long as a word or divide it, so that none lies in two words
};

}  // namespace weft
