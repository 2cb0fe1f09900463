// One channel of SDRAM: banks, rows, and when each command may follow the others. It knows time and places, no data.
//
// Time is the number of a clock of the SDRAM's command bus; all limits count from a command's first clock. Who issues a
// command asks `earliest` first; `issue` believes him, and tests/sim/dram_checker.h checks the commands with other code.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace weft {

// The parameters of sim/dram.py, in its order (its WORDS). Times in clocks but where the name says picoseconds; sizes in bytes.
struct DramConfig {
    uint32_t bus_ps, data_rate, width, burst, groups, banks, row_bytes;
    uint32_t cl, cwl, dqsck_ps, dqss, rcd, rp, rp_all, ras, rc, rrd_s, rrd_l, faw, ccd_s, ccd_l, ccd_masked;
    uint32_t wr, wtr_s, wtr_l, rtp, rtw_gap, ppd, refi, rfc;
    uint32_t act_clocks, cas_clocks, pre_clocks;
    uint32_t group_interleave, bank_interleave, bank_hash, page_timeout;
    uint32_t read_queue, write_queue, write_buffer, write_high, write_low, turn, write_idle, starvation, postpone, front_ps, back_ps;

    uint32_t burst_bytes() const { return width * burst / 8; }
    // The time of a clock in picoseconds, rounded down; the first clock that is not before a time. Clocks are 2e6 / data_rate ps.
    int64_t ps_of(int64_t clock) const { return clock * 2'000'000 / data_rate; }
    int64_t clock_of(int64_t ps) const { return (ps * data_rate + 1'999'999) / 2'000'000; }
};

enum class DramOp : uint32_t { ACT = 0, PRE = 1, PREA = 2, RD = 3, WR = 4, WRM = 5, REF = 6 };  // WRM: masked write; PREA, REF: all banks

// A command as it was issued. `column`: the SDRAM burst in the row.
struct DramCommand {
    int64_t clock;
    DramOp op;
    uint32_t bank, row, column;
};

struct DramPlace {
    uint32_t bank, row, column;
};

class DramDevice {
public:
    static constexpr int64_t CLOSED = -1;
    static constexpr unsigned MAX_BANKS = 32, MAX_GROUPS = 4;

    std::vector<DramCommand>* log = nullptr;  // every command is appended to it

    explicit DramDevice(const DramConfig& config) : c_(config) {
        half_burst_ = c_.burst / 2;
        read_to_write_ = c_.cl + c_.clock_of(c_.dqsck_ps) + half_burst_ + c_.rtw_gap - c_.cwl;
        write_end_ = c_.cwl + c_.dqss + half_burst_;
        column_bytes_ = c_.burst_bytes();
        rows_of_banks_ = c_.banks / c_.groups;
        block_bytes_ = c_.bank_interleave / c_.groups;
    }

    // Where an address lies. From the lowest bits up: bytes of a burst, group, column, bank of the group, column, row.
    DramPlace place(uint64_t address) const {
        const uint64_t inside = address % c_.bank_interleave, block = address / c_.bank_interleave;
        const uint32_t group = inside / c_.group_interleave % c_.groups;
        const uint32_t low = inside / (c_.group_interleave * c_.groups) * c_.group_interleave + inside % c_.group_interleave;
        const uint64_t stripe = block / rows_of_banks_;
        const uint32_t blocks = c_.row_bytes / block_bytes_, row = stripe / blocks;
        uint32_t bank = block % rows_of_banks_ * c_.groups + group;
        if (c_.bank_hash) bank ^= row % c_.banks;
        return {bank, row, uint32_t(stripe % blocks * block_bytes_ + low) / column_bytes_};
    }

    int64_t row(unsigned bank) const { return banks_[bank].row; }
    int64_t last_use(unsigned bank) const { return banks_[bank].last_use; }
    bool all_closed() const { return !open_; }

    // The first clock at which a command may be issued, as far as those before it say.
    int64_t earliest(DramOp op, unsigned bank) const {
        const Bank& b = banks_[bank];
        const Group& g = groups_[bank % c_.groups];
        switch (op) {
        case DramOp::ACT: return std::max({bus_free_, b.act, act_, g.act, activates_[activates_at_] + c_.faw});
        case DramOp::PRE: return std::max({bus_free_, b.pre, pre_});
        case DramOp::RD: return std::max({bus_free_, b.cas, read_, g.read});
        case DramOp::WR: return std::max({bus_free_, b.cas, write_, g.write});
        case DramOp::WRM: return std::max({bus_free_, b.cas, b.masked, write_, g.write});
        case DramOp::REF: return std::max(bus_free_, refresh_);
        case DramOp::PREA: break;
        }
        int64_t all = std::max(bus_free_, pre_);
        for (unsigned i = 0; i < c_.banks; i++)
            if (banks_[i].row != CLOSED) all = std::max(all, banks_[i].pre);
        return all;
    }

    void issue(DramOp op, DramPlace at, int64_t now) {
        if (log) log->push_back({now, op, at.bank, at.row, at.column});
        Bank& b = banks_[at.bank];
        Group& g = groups_[at.bank % c_.groups];
        switch (op) {
        case DramOp::ACT: activate(b, g, at.row, now); break;
        case DramOp::PRE: precharge(b, now, c_.rp); break;
        case DramOp::PREA:
            for (unsigned i = 0; i < c_.banks; i++)
                if (banks_[i].row != CLOSED) precharge(banks_[i], now, c_.rp_all);
            break;
        case DramOp::RD: read(b, g, now); break;
        case DramOp::WR:
        case DramOp::WRM: write(b, g, now); break;
        case DramOp::REF:
            act_ = std::max(act_, now + c_.rfc);
            refresh_ = std::max(refresh_, now + c_.rfc);
            break;
        }
        const bool cas = op == DramOp::RD || op == DramOp::WR || op == DramOp::WRM;
        bus_free_ = now + (cas ? c_.cas_clocks : op == DramOp::ACT ? c_.act_clocks : c_.pre_clocks);
    }

private:
    static constexpr int64_t LONG_AGO = -(1 << 24);

    // The first clock of each command, as far as this bank or group says.
    struct Bank { int64_t row = CLOSED, act = 0, pre = 0, cas = 0, masked = 0, last_use = 0; };
    struct Group { int64_t act = 0, read = 0, write = 0; };

    void activate(Bank& b, Group& g, uint32_t row, int64_t now) {
        b.row = row, b.last_use = now;
        b.cas = now + c_.rcd;
        b.pre = now + c_.ras;
        b.act = now + c_.rc;
        act_ = std::max(act_, now + c_.rrd_s);
        g.act = now + c_.rrd_l;
        activates_[activates_at_] = now;
        activates_at_ = (activates_at_ + 1) % activates_.size();
        open_++;
    }
    void precharge(Bank& b, int64_t now, int64_t rp) {
        b.row = CLOSED;
        b.act = std::max(b.act, now + rp);
        refresh_ = std::max({refresh_, now + rp, b.act});  // a refresh activates rows too: tRC holds for it
        pre_ = std::max(pre_, now + c_.ppd);
        open_--;
    }
    void read(Bank& b, Group& g, int64_t now) {
        b.last_use = now;
        b.pre = std::max(b.pre, now + c_.rtp);
        read_ = std::max(read_, now + std::max<int64_t>(c_.ccd_s, half_burst_));
        g.read = std::max(g.read, now + c_.ccd_l);
        write_ = std::max(write_, now + read_to_write_);
    }
    void write(Bank& b, Group& g, int64_t now) {
        b.last_use = now;
        b.pre = std::max(b.pre, now + write_end_ + c_.wr);
        b.masked = now + c_.ccd_masked;
        write_ = std::max(write_, now + std::max<int64_t>(c_.ccd_s, half_burst_));
        g.write = std::max(g.write, now + c_.ccd_l);
        read_ = std::max(read_, now + write_end_ + c_.wtr_s);
        g.read = std::max(g.read, now + write_end_ + c_.wtr_l);
    }

    const DramConfig c_;
    int64_t half_burst_, read_to_write_, write_end_;
    uint32_t column_bytes_, rows_of_banks_, block_bytes_;
    std::array<Bank, MAX_BANKS> banks_{};
    std::array<Group, MAX_GROUPS> groups_{};
    std::array<int64_t, 4> activates_{LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};  // the last four, in a ring
    unsigned activates_at_ = 0, open_ = 0;
    int64_t bus_free_ = 0, act_ = 0, pre_ = 0, read_ = 0, write_ = 0, refresh_ = 0;
};

}  // namespace weft
