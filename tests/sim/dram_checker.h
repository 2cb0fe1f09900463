// The rules of SDRAM, checked on a list of commands: every pair that is near enough, by the data sheet's numbers and none of the
// scheduler's code. The limits come as "name picoseconds clocks" a line, straight from the TOML file: the greater of the two counts.
#pragma once
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "dram_device.h"

using weft::DramCommand;
using weft::DramOp;

struct Limit { int64_t ps, ck; };

class DramChecker {
public:
    explicit DramChecker(const char* path) {
        std::ifstream file(path);
        for (std::string name; file >> name;) file >> limits_[name].ps >> limits_[name].ck;
        rate_ = number("data_rate"), half_ = number("burst") / 2, groups_ = number("groups");
        // No rule reaches further back than this.
        for (const char* name : {"rfc", "rc", "faw"}) horizon_ = std::max(horizon_, whole_clocks(limits_.at(name)));
        horizon_ += number("cl") + number("cwl") + 2 * half_ + whole_clocks(limits_.at("wr")) + whole_clocks(limits_.at("dqsck")) + 64;
    }

    uint64_t checked = 0;

    int64_t number(const char* name) const { return limits_.at(name).ck; }

    void check(const DramCommand& b) {
        while (!recent_.empty() && b.clock - recent_.front().clock > horizon_) recent_.pop_front();
        for (const DramCommand& a : recent_) pair(a, b);
        state(b);
        recent_.push_back(b);
        checked++;
    }

private:
    // Picoseconds times the data rate, so that clocks of 2e6 / rate ps are whole numbers.
    int64_t scaled(int64_t clocks) const { return clocks * 2'000'000; }
    int64_t whole_clocks(Limit limit) const { return std::max(limit.ps * rate_ / 2'000'000 + 1, limit.ck); }

    static const char* name(DramOp op) {
        static const char* names[] = {"ACT", "PRE", "PREA", "RD", "WR", "WRM", "REF"};
        return names[int(op)];
    }
    [[noreturn]] void broken(const std::string& rule, const DramCommand& b, const DramCommand* a = nullptr) const {
        char text[240];
        std::snprintf(text, sizeof text, "%s: %s bank %u row %u at clock %lld", rule.c_str(), name(b.op), b.bank, b.row, (long long)b.clock);
        std::string message = text;
        if (a) std::snprintf(text, sizeof text, ", %s bank %u at clock %lld", name(a->op), a->bank, (long long)a->clock), message += text;
        throw std::runtime_error(message);
    }

    // b no earlier than `clocks` and the limit after a.
    void gap(const DramCommand& a, const DramCommand& b, const char* limit, int64_t clocks = 0) const {
        const Limit& l = limits_.at(limit);
        const int64_t between = b.clock - a.clock - clocks;
        if (between < l.ck || scaled(between) < l.ps * rate_) broken(limit, b, &a);
    }

    void pair(const DramCommand& a, const DramCommand& b) const {
        const auto reads = [](const DramCommand& c) { return c.op == DramOp::RD; };
        const auto writes = [](const DramCommand& c) { return c.op == DramOp::WR || c.op == DramOp::WRM; };
        const auto closes = [](const DramCommand& c) { return c.op == DramOp::PRE || c.op == DramOp::PREA; };
        const bool bank = a.bank == b.bank || a.op == DramOp::PREA || b.op == DramOp::PREA, group = a.bank % groups_ == b.bank % groups_;
        const int64_t write_end = number("cwl") + number("dqss") + half_;
        gap(a, b, a.op == DramOp::ACT ? "act_clocks" : reads(a) || writes(a) ? "cas_clocks" : "pre_clocks");
        if (a.op == DramOp::ACT) {
            if (b.op == DramOp::ACT) gap(a, b, bank ? "rc" : group ? "rrd_l" : "rrd_s");
            if (bank && (reads(b) || writes(b))) gap(a, b, "rcd");
            if (bank && closes(b)) gap(a, b, "ras");
            if (b.op == DramOp::REF) gap(a, b, "rc");
        }
        if (closes(a)) {
            const char* time = a.op == DramOp::PREA ? "rp_all" : "rp";
            if (b.op == DramOp::REF || (bank && b.op == DramOp::ACT)) gap(a, b, time);
            if (closes(b)) gap(a, b, "ppd");
        }
        if ((reads(a) && reads(b)) || (writes(a) && writes(b))) {
            gap(a, b, group ? "ccd_l" : "ccd_s");
            if (b.clock - a.clock < half_) broken("data bus", b, &a);
        }
        if (reads(a) && writes(b)) {  // the data leave the bus before the others come
            gap(a, b, "dqsck", number("cl") + half_ + number("rtw_gap") - number("cwl"));
        }
        if (writes(a) && reads(b)) gap(a, b, group ? "wtr_l" : "wtr_s", write_end);
        if (writes(a) && bank && b.op == DramOp::WRM) gap(a, b, "ccd_masked");
        if (reads(a) && bank && closes(b)) gap(a, b, "rtp");
        if (writes(a) && bank && closes(b)) gap(a, b, "wr", write_end);
        if (a.op == DramOp::REF) gap(a, b, "rfc");
    }

    void state(const DramCommand& b) {
        const auto row = open_.find(b.bank);
        switch (b.op) {
        case DramOp::ACT:
            if (row != open_.end()) broken("activate of an open bank", b);
            open_[b.bank] = b.row;
            activates_.push_back(b);
            if (activates_.size() > 4) {
                gap(activates_.front(), b, "faw");
                activates_.pop_front();
            }
            break;
        case DramOp::PRE:
            if (row == open_.end()) broken("precharge of a closed bank", b);
            open_.erase(row);
            break;
        case DramOp::PREA: open_.clear(); break;
        case DramOp::REF: refresh(b); break;
        default:
            if (row == open_.end() || row->second != b.row) broken("row is not open", b);
        }
    }

    // Refresh k no later than tREFI x (k + postponed), but for what it takes to close the banks.
    void refresh(const DramCommand& b) {
        if (!open_.empty()) broken("refresh with an open bank", b);
        refreshes_++;
        int64_t closing = number("cl") + number("cwl") + half_ + 16;
        for (const char* name : {"rcd", "ras", "wr", "rp_all", "rtp"}) closing += whole_clocks(limits_.at(name));
        if (scaled(b.clock - closing) > (refreshes_ + number("postpone")) * limits_.at("refi").ps * rate_) broken("refi", b);
    }

    std::map<std::string, Limit> limits_;
    int64_t rate_, half_, groups_, horizon_ = 0, refreshes_ = 0;
    std::deque<DramCommand> recent_, activates_;
    std::map<uint32_t, uint32_t> open_;
};
