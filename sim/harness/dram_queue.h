// The controller's queues and its choice of the next command: FR-FCFS within a QoS level, refresh, read and write mode.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "ddr.h"
#include "dram_device.h"

namespace weft {

struct DramStatistics {
    uint64_t clocks, busy, pending;  // of the SDRAM; with data on its bus (counted at the command); with work that could be served
    uint64_t reads, writes, masked;  // SDRAM bursts; of the writes, those with a masked write command
    uint64_t hits, misses, conflicts;  // SDRAM bursts that found their row open, the bank closed, another row open
    uint64_t activates, precharges, refreshes, turnarounds;
};

// A bank that an AXI burst touches: it needs one row of it.
struct DramVisit {
    uint32_t bank, row, left;  // left: SDRAM bursts not issued yet
    bool activated, precharged;  // what it took to open the row
};

// An AXI burst in the controller.
struct DramBurst {
    Address address;
    unsigned qos, resp;
    uint64_t number;        // in the order of acceptance, reads and writes together
    uint64_t start, end;    // bytes, whole SDRAM bursts
    uint32_t total, issued, beat;  // SDRAM bursts; AXI beats exchanged
    bool first;             // goes first: a read whose first beat was offered, so that it does not hold up R; a write that a read waits for
    int level;              // of this clock: 0 to 15 by QoS, 16 first; -1: not to be served now
    DramPlace head;         // of the next SDRAM burst
    unsigned head_visit;
    std::vector<DramVisit> visits;
    std::vector<int64_t> ready;     // writes: clock from which each SDRAM burst may be issued; reads: one for all
    std::vector<int64_t> done_ps;   // reads: when each SDRAM burst is at the bus
    std::vector<uint16_t> strobed;  // writes: bytes to write in each SDRAM burst
    std::vector<uint64_t> after;    // reads: numbers of the queued writes that come first, since they overlap
};

class DramQueue {
public:
    static constexpr int64_t NEVER = std::numeric_limits<int64_t>::max();
    static constexpr int FIRST = 16;
    static constexpr unsigned LOOKAHEAD = 4;  // banks of a burst that are opened before its turn

    explicit DramQueue(const DramConfig& config) : device(config), c_(config) {}

    DramDevice device;
    DramStatistics statistics{};
    std::vector<DramBurst> reads, writes;  // in the order of acceptance
    uint64_t write_data = 0;               // SDRAM bursts received and not issued

    // Fills in the places of a burst whose range is known.
    void locate(DramBurst& burst) const {
        for (uint64_t at = burst.start; at < burst.end; at += c_.burst_bytes()) {
            const DramPlace place = device.place(at);
            const auto visit = find_visit(burst, place.bank);
            if (visit == burst.visits.size()) burst.visits.push_back({place.bank, place.row, 0, false, false});
            burst.visits[visit].left++;
        }
        set_head(burst);
    }

    // One clock; the next one at which something may happen if nothing arrives before.
    int64_t step(int64_t now) {
        if (pending_) cover(last_step_, now);
        last_step_ = now;
        next_ = (refreshed_ + 1) * int64_t(c_.refi);
        bool read_waits = false, forced = false;
        look(now, read_waits, forced);
        choose_direction(now, read_waits, forced);
        const bool idle = !read_waits && !forced && !write_data;
        const int64_t owed = now / c_.refi - refreshed_;
        pending_ = read_waits || (writing_ && write_data);
        if (owed > c_.postpone || (owed > 0 && idle)) return refresh(now);
        if (owed > 0) next_ = (refreshed_ + 1 + c_.postpone) * int64_t(c_.refi);
        if (!serve(now) && c_.page_timeout != ~0u) close_a_page(now);
        return std::max(next_, now + 1);
    }

private:
    // What may be chosen: in order of level, then CAS before ACT before PRE, then age.
    struct Choice {
        int level = -1, rank = 0;
        DramOp op{};
        DramBurst* burst = nullptr;
        DramVisit* visit = nullptr;
    };

    static unsigned find_visit(const DramBurst& burst, uint32_t bank) {
        unsigned i = 0;
        while (i < burst.visits.size() && burst.visits[i].bank != bank) i++;
        return i;
    }
    void set_head(DramBurst& burst) const {
        if (burst.issued == burst.total) return;
        burst.head = device.place(burst.start + uint64_t(burst.issued) * c_.burst_bytes());
        burst.head_visit = find_visit(burst, burst.head.bank);
    }

    // When the next SDRAM burst of an AXI burst may be issued, as far as arrival says.
    static int64_t visible(const DramBurst& b, bool write) {
        if (b.issued == b.total) return NEVER;
        return write ? b.issued < b.ready.size() ? b.ready[b.issued] : NEVER : b.ready[0];
    }

    void look(int64_t now, bool& read_waits, bool& forced) {
        for (const DramBurst& b : reads) {
            const int64_t from = visible(b, false);
            if (from > now) next_ = std::min(next_, from);
            else (b.after.empty() ? read_waits : forced) = true;
        }
        for (const DramBurst& b : writes)
            if (const int64_t from = visible(b, true); from > now) next_ = std::min(next_, from);
    }

    // Writes wait until there are many, or until there is no read; a direction that the other waits for ends after its turn.
    void choose_direction(int64_t now, bool read_waits, bool forced) {
        const bool over = !read_waits || served_ >= c_.turn;
        bool write = writing_;
        if (!write_data) write = false;
        else if (writing_) write = !read_waits || (served_ < c_.turn && (forced || more_than(c_.write_low)));
        else if (over && (forced || more_than(c_.write_high - 1))) write = true;
        else if (!read_waits) {
            write = more_than(c_.write_low) || now >= last_read_ + c_.write_idle;
            if (!write) next_ = std::min(next_, last_read_ + c_.write_idle);
        }
        if (write != writing_) served_ = 0;
        writing_ = write;
    }

    // Whether write data, or bursts, fill more of their queue than this many SDRAM bursts do of the data's: many short bursts fill
    // the one before the other.
    bool more_than(uint64_t mark) const { return write_data > mark || writes.size() * c_.write_buffer > mark * c_.write_queue; }

    int64_t refresh(int64_t now) {
        const DramOp op = device.all_closed() ? DramOp::REF : DramOp::PREA;
        const int64_t from = device.earliest(op, 0);
        if (from > now) return from;
        device.issue(op, {}, now);
        if (op == DramOp::REF) refreshed_++, statistics.refreshes++;
        else statistics.precharges++;
        return now + 1;
    }

    bool serve(int64_t now) {
        auto& bursts = writing_ ? writes : reads;
        std::array<int, DramDevice::MAX_BANKS> wanted;  // the highest level of a burst that wants the open row
        wanted.fill(-1);
        for (DramBurst& b : bursts) {
            b.level = visible(b, writing_) <= now && b.after.empty() ? level(b, now) : -1;
            if (b.level < 0) continue;
            for (const DramVisit& v : b.visits)
                if (v.left && device.row(v.bank) == v.row) wanted[v.bank] = std::max(wanted[v.bank], b.level);
        }
        Choice best;
        for (DramBurst& b : bursts)
            if (b.level >= 0) consider(b, wanted, now, best);
        if (!best.burst) return false;
        if (best.rank == 0) issue_data(*best.burst, best.op, now);
        else issue_row(*best.visit, best.op, now);
        return true;
    }

    int level(const DramBurst& b, int64_t now) {
        const int64_t starved = b.ready[0] + c_.starvation;
        if (b.first || now >= starved) return FIRST;
        next_ = std::min(next_, starved);
        return int(b.qos);
    }

    void consider(DramBurst& b, const std::array<int, DramDevice::MAX_BANKS>& wanted, int64_t now, Choice& best) {
        const auto offer = [&](int rank, DramOp op, DramVisit& visit) {
            if (b.level < best.level || (b.level == best.level && rank >= best.rank)) return;  // not even if it were ready
            const int64_t from = device.earliest(op, visit.bank);
            if (from <= now) best = {b.level, rank, op, &b, &visit};
            else next_ = std::min(next_, from);
        };
        if (device.row(b.head.bank) == b.head.row) offer(0, data_op(b), b.visits[b.head_visit]);
        // Banks in the order in which the burst will need them: after the last visit it comes back to the first.
        unsigned ahead = 0;
        for (size_t i = 0; i < b.visits.size() && ahead < LOOKAHEAD; i++) {
            DramVisit& v = b.visits[(b.head_visit + i) % b.visits.size()];
            if (!v.left) continue;
            ahead++;
            const int64_t row = device.row(v.bank);
            if (row == DramDevice::CLOSED) offer(1, DramOp::ACT, v);
            else if (row != v.row && wanted[v.bank] < b.level) offer(2, DramOp::PRE, v);
        }
    }

    DramOp data_op(const DramBurst& b) const {
        if (!writing_) return DramOp::RD;
        return c_.ccd_masked && b.strobed[b.issued] < c_.burst_bytes() ? DramOp::WRM : DramOp::WR;
    }

    void issue_row(DramVisit& v, DramOp op, int64_t now) {
        device.issue(op, {v.bank, v.row, 0}, now);
        (op == DramOp::ACT ? v.activated : v.precharged) = true;
        (op == DramOp::ACT ? statistics.activates : statistics.precharges)++;
        next_ = now + 1;
    }

    void issue_data(DramBurst& b, DramOp op, int64_t now) {
        device.issue(op, b.head, now);
        DramVisit& v = b.visits[b.head_visit];
        (v.precharged ? statistics.conflicts : v.activated ? statistics.misses : statistics.hits)++;
        v.activated = v.precharged = false;  // the visit's further bursts find the row open
        v.left--;
        b.issued++;
        set_head(b);
        statistics.busy += c_.burst / 2;
        cover(now, now + c_.burst / 2);
        statistics.turnarounds += any_data_ && wrote_ != writing_;
        any_data_ = true, wrote_ = writing_;
        served_++;
        next_ = now + 1;
        if (op == DramOp::RD) {
            statistics.reads++;
            last_read_ = now;
            b.done_ps.push_back(c_.ps_of(now + c_.cl + c_.burst / 2) + c_.dqsck_ps + c_.back_ps);
        } else {
            statistics.writes++;
            statistics.masked += op == DramOp::WRM;
            write_data--;
            if (b.issued == b.total) retire(b);
        }
    }

    // A write is in the SDRAM: reads that waited for it may go.
    void retire(DramBurst& b) {
        for (DramBurst& r : reads) std::erase(r.after, b.number);
        writes.erase(writes.begin() + (&b - writes.data()));
    }

    void close_a_page(int64_t now) {
        for (unsigned bank = 0; bank < c_.banks; bank++) {
            if (device.row(bank) == DramDevice::CLOSED || wants(reads, bank) || wants(writes, bank)) continue;
            const int64_t from = std::max(device.last_use(bank) + c_.page_timeout, device.earliest(DramOp::PRE, bank));
            if (from <= now) {
                device.issue(DramOp::PRE, {bank, 0, 0}, now);
                statistics.precharges++;
                next_ = now + 1;
                return;
            }
            next_ = std::min(next_, from);
        }
    }
    bool wants(const std::vector<DramBurst>& bursts, unsigned bank) const {
        for (const DramBurst& b : bursts)
            for (const DramVisit& v : b.visits)
                if (v.left && v.bank == bank && device.row(bank) == v.row) return true;
        return false;
    }

    // Counts clocks as pending, none twice.
    void cover(int64_t from, int64_t to) {
        from = std::max(from, covered_);
        if (to > from) statistics.pending += to - from, covered_ = to;
    }

    const DramConfig c_;
    bool writing_ = false, wrote_ = false, any_data_ = false, pending_ = false;
    uint32_t served_ = 0;  // SDRAM bursts since the direction changed
    int64_t refreshed_ = 0, last_read_ = -(1 << 24), last_step_ = 0, covered_ = 0, next_ = 0;
};

}  // namespace weft
