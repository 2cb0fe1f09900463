// Random traffic of several masters and ids on class Dram, checked in every cycle:
// data against a plain memory, order of each id, stability of what is offered; every beat of a read against the read commands that
// must have fetched it; at the end, the commands against the bursts, one for one.
#pragma once
#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>

#include "dram.h"
#include "dram_checker.h"

class RandomTraffic {
public:
    RandomTraffic(weft::Dram& dram, DramChecker& checker, std::vector<uint8_t>& memory, unsigned beat_bytes, const weft::DramConfig& config, unsigned seed,
                  uint64_t window)
        : dram_(dram), checker_(checker), memory_(memory), bytes_(beat_bytes), c_(config), random_(seed), window_(window) {
        for (uint8_t& byte : memory_) byte = random_.next();
        plain_ = memory_;
        dram_.log_to(&log_);
    }

    void run(uint64_t cycles) {
        for (uint64_t n = 0; n < cycles; n++) {
            if (n % 2000 == 0) mood();
            cycle(true);
        }
        for (uint64_t n = 0; dram_.outstanding() || ar_.valid || aw_.valid || !sending_.empty(); n++) {
            if (n > 1'000'000) fail("transactions never end");
            cycle(false);
        }
        if (memory_ != plain_) fail("memory differs at the end");
        for (const auto& [key, left] : owed_)
            if (left) fail("commands for a place differ from the bursts by " + std::to_string(left));
        std::printf("R bursts %llu beats %llu commands %llu\n", (unsigned long long)bursts_, (unsigned long long)beats_, (unsigned long long)checker_.checked);
    }

private:
    struct Offer { bool valid = false; weft::Address address{}; unsigned qos = 0; };
    struct Burst { weft::Address address; uint64_t accepted; unsigned beat; };

    [[noreturn]] void fail(const std::string& what) const { throw std::runtime_error("cycle " + std::to_string(dram_.cycle()) + ": " + what); }
    bool chance(unsigned percent) { return random_.next() % 100 < percent; }

    // How busy everyone is, for the next cycles.
    void mood() {
        ar_rate_ = random_.next() % 60, aw_rate_ = random_.next() % 60;
        w_rate_ = 20 + random_.next() % 81, r_rate_ = 20 + random_.next() % 81, b_rate_ = 20 + random_.next() % 81;
        longest_ = 1u << random_.next() % 9;
        if (chance(20)) ar_rate_ = aw_rate_ = 0;
        if (chance(50)) w_rate_ = r_rate_ = b_rate_ = 100;
    }

    void cycle(bool more) {
        dram_.offer();
        const bool r = dram_.r_valid(), b = dram_.b_valid(), ar_ready = dram_.ar_ready(), aw_ready = dram_.aw_ready(), w_ready = dram_.w_ready();
        if (r) {
            std::vector<uint8_t> now(dram_.read_beat().data, dram_.read_beat().data + bytes_);
            now.push_back(dram_.read_beat().id);
            if (!held_.empty() && held_ != now) fail("a beat on offer changed");
            held_ = now;
            if (chance(r_rate_)) take_r();
        } else if (!held_.empty()) fail("a beat on offer was withdrawn");
        if (b && chance(b_rate_)) take_b();
        else if (!b && b_held_) fail("an answer on offer was withdrawn");
        else b_held_ = b;
        if (w_ready && chance(w_rate_)) send_w();
        if (ar_.valid && ar_ready) {
            dram_.accept_ar(ar_.address, ar_.qos);
            reading_[ar_.address.id].push_back({ar_.address, dram_.cycle(), 0});
            expect(ar_.address, nullptr, false);
            ar_.valid = false;
        }
        if (aw_.valid && aw_ready) {
            dram_.accept_aw(aw_.address, aw_.qos);
            sending_.push_back({aw_.address, dram_.cycle(), 0});
            writing_[aw_.address.id].push_back({aw_.address, 0, 0});
            aw_.valid = false;
        }
        if (more && !ar_.valid && chance(ar_rate_)) propose(ar_, false);
        if (more && !aw_.valid && chance(aw_rate_)) propose(aw_, true);
        dram_.tick();
        for (const DramCommand& command : log_) {
            checker_.check(command);
            const bool read = command.op == DramOp::RD, write = command.op == DramOp::WR || command.op == DramOp::WRM;
            if (!read && !write) continue;
            owed_[{command.bank, command.row, command.column, int(command.op)}]--;
            if (read) fetched_[{command.bank, command.row, command.column}].push_back(command.clock);
        }
        log_.clear();
    }

    // A burst that overlaps no transaction in flight of the other direction.
    void propose(Offer& offer, bool write) {
        weft::Address a{};
        a.addr = random_.next() % window_;
        a.id = random_.next() % 16;
        a.len = random_.next() % longest_;
        a.size = std::countr_zero(bytes_), a.burst = 1;
        const uint64_t first = a.addr / bytes_ * bytes_, room = (weft::PAGE - first % weft::PAGE) / bytes_;
        a.len = std::min<uint64_t>(a.len, room - 1);
        if (end(a) > memory_.size()) return;
        const auto meets = [&](const weft::Address& other) { return first < end(other) && other.addr / bytes_ * bytes_ < end(a); };
        for (const auto& [id, list] : write ? reading_ : writing_)
            for (const Burst& burst : list)
                if (meets(burst.address)) return;
        if (const Offer& other = write ? ar_ : aw_; other.valid && meets(other.address)) return;
        offer = {true, a, random_.next() % 16};
        bursts_++;
    }
    uint64_t end(const weft::Address& a) const { return a.addr / bytes_ * bytes_ + (uint64_t(a.len) + 1) * bytes_; }

    void take_r() {
        const weft::ReadBeat beat = dram_.read_beat();
        auto& list = reading_[beat.id];
        if (list.empty()) fail("a beat of an id that reads nothing");
        if (open_id_ >= 0 && open_id_ != int(beat.id)) fail("read bursts are interleaved");
        Burst& burst = list.front();
        const uint64_t at = burst.address.addr / bytes_ * bytes_ + uint64_t(burst.beat) * bytes_;
        if (beat.resp != weft::OKAY) fail("error response");
        if (std::memcmp(beat.data, plain_.data() + at, bytes_)) fail("wrong data at address " + std::to_string(at) + " of id " + std::to_string(beat.id));
        if (beat.last != (burst.beat == burst.address.len)) fail("RLAST at the wrong beat");
        was_fetched(burst, at);
        burst.beat++;
        beats_++;
        open_id_ = beat.last ? -1 : int(beat.id);
        if (beat.last) list.pop_front();
        dram_.take_r();
        held_.clear();
    }

    // Read commands fetched these bytes after their address was accepted, and they had time to arrive.
    void was_fetched(const Burst& burst, uint64_t at) const {
        for (uint64_t byte = at; byte < at + bytes_; byte += std::min(c_.burst_bytes(), bytes_)) {
            const auto found = fetched_.find(place(byte));
            if (found == fetched_.end()) fail("data that no command fetched");
            // In units of ps x data rate. A clock's time is rounded down to whole picoseconds, hence the 1.
            const __int128 rate = c_.data_rate, now = __int128(dram_.cycle()) * c_.bus_ps - c_.dqsck_ps - c_.back_ps + 1;
            const __int128 accepted = __int128(burst.accepted + 1) * c_.bus_ps + c_.front_ps;
            const auto serves = [&](int64_t clock) {
                return accepted * rate <= __int128(clock) * 2'000'000 && __int128(clock + c_.cl + c_.burst / 2) * 2'000'000 <= now * rate;
            };
            if (std::none_of(found->second.rbegin(), found->second.rend(), serves)) fail("data that no command fetched in time");
        }
    }

    void take_b() {
        auto& list = writing_[dram_.b_id()];
        if (list.empty()) fail("an answer to an id that writes nothing");
        if (list.front().beat <= list.front().address.len) fail("an answer before the last beat");
        if (dram_.b_resp() != weft::OKAY) fail("error response");
        list.pop_front();
        dram_.take_b();
        b_held_ = false;
    }

    void send_w() {
        if (sending_.empty()) fail("W is ready for no burst");
        Burst& burst = sending_.front();
        if (std::memcmp(&dram_.writing(), &burst.address, sizeof burst.address) || dram_.writing_beat() != burst.beat) fail("W belongs to another burst");
        const uint64_t at = burst.address.addr / bytes_ * bytes_ + uint64_t(burst.beat) * bytes_;
        uint8_t data[32], strobe[4];
        const bool whole = chance(80);
        for (uint8_t& byte : data) byte = random_.next();
        for (uint8_t& bits : strobe) bits = whole ? 0xFF : random_.next();
        for (uint64_t i = 0; i < (burst.beat ? 0 : burst.address.addr % bytes_); i++) strobe[i / 8] &= ~(1u << i % 8);
        for (unsigned i = 0; i < bytes_; i++)
            if (strobe[i / 8] >> i % 8 & 1) plain_[at + i] = data[i], strobed_.push_back(at + i);
        const bool last = burst.beat == burst.address.len;
        dram_.accept_w({data, strobe, last});
        for (Burst& waiting : writing_[burst.address.id])
            if (waiting.beat <= waiting.address.len) {
                waiting.beat++;
                break;
            }
        burst.beat++;
        if (!last) return;
        expect(burst.address, &strobed_, true);
        strobed_.clear();
        sending_.pop_front();
    }

    // The SDRAM bursts that an AXI burst takes.
    void expect(const weft::Address& a, const std::vector<uint64_t>* strobed, bool write) {
        const uint64_t unit = c_.burst_bytes();
        std::map<uint64_t, uint64_t> bytes;
        if (write)
            for (uint64_t byte : *strobed) bytes[byte / unit]++;
        for (uint64_t n = a.addr / bytes_ * bytes_ / unit; n * unit < end(a); n++) {
            const auto [bank, row, column] = place(n * unit);
            const bool masked = write && checker_.number("masked_writes") && bytes[n] < unit;
            owed_[{bank, row, column, int(!write ? DramOp::RD : masked ? DramOp::WRM : DramOp::WR)}]++;
        }
    }

    // The address map, by its bits.
    using Place = std::tuple<uint32_t, uint32_t, uint32_t>;
    Place place(uint64_t address) const {
        const auto take = [&](uint64_t values) {
            const uint64_t low = address % values;
            address /= values;
            return low;
        };
        take(c_.burst_bytes());
        uint64_t column = take(c_.group_interleave / c_.burst_bytes()), weight = c_.group_interleave / c_.burst_bytes();
        const uint64_t group = take(c_.groups);
        const uint64_t middle = c_.bank_interleave / c_.group_interleave / c_.groups;
        column += weight * take(middle), weight *= middle;
        uint64_t bank = take(c_.banks / c_.groups) * c_.groups + group;
        const uint64_t rest = c_.row_bytes / c_.burst_bytes() / weight;
        column += weight * take(rest);
        if (c_.bank_hash) bank ^= address & (c_.banks - 1);
        return {uint32_t(bank), uint32_t(address), uint32_t(column)};
    }

    weft::Dram& dram_;
    DramChecker& checker_;
    std::vector<uint8_t>&memory_, plain_;
    const unsigned bytes_;
    const weft::DramConfig c_;
    weft::Random random_;
    const uint64_t window_;
    std::vector<DramCommand> log_;
    std::map<Place, std::vector<int64_t>> fetched_;  // clocks of the read commands
    std::map<std::tuple<uint32_t, uint32_t, uint32_t, int>, int64_t> owed_;
    std::map<unsigned, std::deque<Burst>> reading_, writing_;  // by id, in order
    std::deque<Burst> sending_;
    std::vector<uint64_t> strobed_;
    std::vector<uint8_t> held_;
    Offer ar_, aw_;
    bool b_held_ = false;
    int open_id_ = -1;
    unsigned ar_rate_ = 0, aw_rate_ = 0, w_rate_ = 100, r_rate_ = 100, b_rate_ = 100, longest_ = 1;
    uint64_t bursts_ = 0, beats_ = 0;
};
