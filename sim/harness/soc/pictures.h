// Pictures of a camera or a display, and the beats that each of them lost.
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

// A picture with a fault: its number since reset, the cycle of the first, how many.
struct Fault { uint64_t picture, cycle, beats; };

class Pictures {
public:
    std::vector<Fault> faults;

    void see(uint64_t cycle, bool start, bool fault) {
        begun_ += start;
        if (!fault) return;
        if (faults.empty() || faults.back().picture != begun_) faults.push_back({begun_, cycle, 0});
        faults.back().beats++;
    }
    bool running() const { return begun_; }
    uint64_t complete() const { return begun_ ? begun_ - 1 : 0; }

private:
    uint64_t begun_ = 0;
};

}  // namespace weft
