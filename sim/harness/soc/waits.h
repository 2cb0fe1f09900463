// How long each master's bursts take: from the request at the interconnect to the last beat or the answer.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>

namespace weft {

constexpr unsigned MASTERS = 4, IDS = 4;  // hw/soc/registers.py MASTERS; IDs of a master

// One direction, reads or writes. A master's requests are granted in their order and stand on the port in the order of the grants;
// answers of one id come in order.
class Waits {
public:
    // A histogram for each master: how many bursts took so many cycles.
    std::array<std::vector<uint64_t>, MASTERS> histogram;

    // A cycle at the interconnect: which masters ask, and whose request is granted.
    void at_fabric(uint64_t cycle, const std::array<bool, MASTERS>& asks, const std::array<bool, MASTERS>& granted) {
        for (unsigned m = 0; m < MASTERS; m++) {
            if (asks[m] && !waiting_[m]) waiting_[m] = true, since_[m] = cycle;
            if (granted[m]) granted_[m].push_back(since_[m]), waiting_[m] = false;
        }
    }
    void on_port(unsigned id) {
        auto& mine = granted_.at(id / IDS);
        if (mine.empty()) throw std::runtime_error("an address on the DDR port that was not granted");
        under_way_[id].push_back(mine.front());
        mine.pop_front();
    }
    void done(uint64_t cycle, unsigned id) {
        auto& mine = under_way_.at(id);
        if (mine.empty()) throw std::runtime_error("an answer on the DDR port to nothing");
        auto& counts = histogram[id / IDS];
        const uint64_t took = cycle - mine.front();
        if (counts.size() <= took) counts.resize(took + 1);
        counts[took]++;
        mine.pop_front();
    }

private:
    std::array<bool, MASTERS> waiting_{};
    std::array<uint64_t, MASTERS> since_{};
    std::array<std::deque<uint64_t>, MASTERS> granted_;
    std::array<std::deque<uint64_t>, MASTERS * IDS> under_way_;
};

}  // namespace weft
