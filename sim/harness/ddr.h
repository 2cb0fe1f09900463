// DDR behind the NPU's AXI4 port: latency, bandwidth, outstanding transactions, and everything that can go wrong with them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

namespace weft {

constexpr unsigned OKAY = 0, SLVERR = 2, DECERR = 3;
constexpr uint64_t PAGE = 4096;  // no burst crosses a multiple of it

// What the two sides of the port show in one cycle.
struct Address { uint64_t addr; unsigned id, len, size, burst; };
struct WriteBeat { const uint8_t* data; const uint8_t* strobe; bool last; };  // strobe: one bit a byte
struct ReadBeat { unsigned id; const uint8_t* data; unsigned resp; bool last; };

// The parameters of sim/ddr.py, in its order. Probabilities are in 1/65536.
struct DdrConfig {
    uint32_t read_latency, write_latency, latency_jitter, bytes_per_cycle, outstanding;
    uint32_t stall_ar, stall_r, stall_aw, stall_w, stall_b, seed;
    uint32_t error_reads, error_writes;
    uint64_t error_start, error_end;
    uint64_t silent_after;  // transactions; all ones: never
};

class Random {
public:
    explicit Random(uint32_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
    uint32_t next() {
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return uint32_t(state_ >> 32);
    }
    bool chance(uint32_t probability) { return probability && (next() & 0xFFFF) < probability; }

private:
    uint64_t state_;
};

// One cycle: `offer` decides ready, valid and payload before the clock edge; `accept_*` and `take_*` tell it what was
// exchanged at the edge; `tick` ends the cycle. Reads are answered in order, writes too; a byte moved in either direction
// costs the same bandwidth, and when both want it they take turns.
class Ddr {
public:
    Ddr(unsigned beat_bytes, std::vector<uint8_t>& memory) : bytes_(beat_bytes), memory_(memory), random_(0) {}

    void configure(const DdrConfig& config) {
        config_ = config;
        random_ = Random(config.seed);
        reads_.clear(), writes_.clear(), responses_.clear();
        r_offered_ = b_offered_ = false;
        transactions_ = 0, credit_ = 0, now_ = 0, read_free_ = write_free_ = 0;
    }

    // Another behaviour from now on; transactions stay, and those that were never to be answered will be.
    void tune(const DdrConfig& config) {
        config_ = config;
        random_ = Random(config.seed);
        transactions_ = 0;
        for (auto* bursts : {&reads_, &writes_})
            for (Burst& burst : *bursts) burst.silent = false;
    }

    // Before the edge.
    void offer() {
        credit_ = std::min<int64_t>(credit_ + config_.bytes_per_cycle, std::max(config_.bytes_per_cycle, bytes_));
        const bool silent = transactions_ > config_.silent_after;
        const bool read_open = !reads_.empty() && !reads_.front().silent && reads_.front().ready_at <= now_;
        const bool affordable = credit_ >= int64_t(bytes_);
        const bool both = credit_ >= 2 * int64_t(bytes_);
        const bool write_wants = !writes_.empty() && last_moved_read_;
        ar_ready_ = !silent && reads_.size() < config_.outstanding && !random_.chance(config_.stall_ar);
        aw_ready_ = !silent && writes_.size() + responses_.size() < config_.outstanding && !random_.chance(config_.stall_aw);
        // A beat on offer stays on offer until it is taken; its bytes are paid for when it is first offered.
        if (!r_offered_ && read_open && affordable && (both || !write_wants || !w_waiting_) && !random_.chance(config_.stall_r)) {
            credit_ -= bytes_;
            r_offered_ = true;
            load_beat();
        }
        w_ready_ = !silent && !writes_.empty() && credit_ >= int64_t(bytes_) && !random_.chance(config_.stall_w);
        if (!b_offered_ && !responses_.empty() && responses_.front().ready_at <= now_ && !random_.chance(config_.stall_b)) b_offered_ = true;
    }

    bool ar_ready() const { return ar_ready_; }
    bool aw_ready() const { return aw_ready_; }
    bool w_ready() const { return w_ready_; }
    bool r_valid() const { return r_offered_; }
    bool b_valid() const { return b_offered_; }
    const ReadBeat& read_beat() const { return beat_; }
    unsigned b_id() const { return responses_.front().id; }
    unsigned b_resp() const { return responses_.front().resp; }
    bool outstanding() const { return !reads_.empty() || !writes_.empty() || !responses_.empty(); }
    uint64_t bytes_read() const { return bytes_read_; }
    uint64_t bytes_written() const { return bytes_written_; }

    // At the edge.
    void accept_ar(const Address& a) {
        read_free_ = std::max(read_free_, now_ + latency(config_.read_latency));
        reads_.push_back({a, 0, read_free_, response(a, config_.error_reads), transactions_++ >= config_.silent_after});
    }
    void accept_aw(const Address& a) { writes_.push_back({a, 0, 0, response(a, config_.error_writes), transactions_++ >= config_.silent_after}); }

    // The burst that the next beat on W belongs to, and the number of that beat.
    const Address& writing() const { return writes_.front().address; }
    unsigned writing_beat() const { return writes_.front().beat; }

    void accept_w(const WriteBeat& w) {
        Burst& burst = writes_.front();
        if (burst.resp == OKAY) {
            uint8_t* at = memory_.data() + beat_address(burst);
            for (unsigned i = 0; i < bytes_; i++)
                if (w.strobe[i / 8] >> (i % 8) & 1) at[i] = w.data[i];
        }
        credit_ -= bytes_;
        bytes_written_ += bytes_;
        last_moved_read_ = false;
        if (burst.beat++ == burst.address.len) {
            write_free_ = std::max(write_free_, now_ + latency(config_.write_latency));
            if (!burst.silent) responses_.push_back({burst.address.id, burst.resp, write_free_});
            writes_.pop_front();
        }
    }
    void take_r() {
        r_offered_ = false;
        last_moved_read_ = true;
        bytes_read_ += bytes_;
        if (reads_.front().beat++ == reads_.front().address.len) reads_.pop_front();
    }
    void take_b() {
        b_offered_ = false;
        responses_.pop_front();
    }
    void tick(bool w_waiting) {
        w_waiting_ = w_waiting;  // a beat of W was valid: a read then leaves it its turn
        now_++;
    }

private:
    struct Burst { Address address; unsigned beat; uint64_t ready_at; unsigned resp; bool silent; };
    struct Response { unsigned id, resp; uint64_t ready_at; };

    uint64_t latency(uint32_t base) { return base + (config_.latency_jitter ? random_.next() % (config_.latency_jitter + 1) : 0); }

    uint64_t beat_address(const Burst& burst) const { return burst.address.addr / bytes_ * bytes_ + uint64_t(burst.beat) * bytes_; }

    unsigned response(const Address& a, bool errors) const {
        const uint64_t start = a.addr / bytes_ * bytes_, end = start + (uint64_t(a.len) + 1) * bytes_;
        if (end > memory_.size()) return DECERR;
        return errors && start < config_.error_end && end > config_.error_start ? SLVERR : OKAY;
    }

    void load_beat() {
        const Burst& burst = reads_.front();
        if (burst.resp == OKAY) std::memcpy(data_, memory_.data() + beat_address(burst), bytes_);  // a copy: a write may follow
        else std::memset(data_, 0, bytes_);
        beat_ = {burst.address.id, data_, burst.resp, burst.beat == burst.address.len};
    }

    const uint32_t bytes_;
    std::vector<uint8_t>& memory_;
    DdrConfig config_{};
    Random random_;
    std::deque<Burst> reads_, writes_;
    std::deque<Response> responses_;
    ReadBeat beat_{};
    uint8_t data_[32];
    bool ar_ready_ = false, aw_ready_ = false, w_ready_ = false, r_offered_ = false, b_offered_ = false;
    bool last_moved_read_ = false, w_waiting_ = false;
    int64_t credit_ = 0;
    uint64_t now_ = 0, read_free_ = 0, write_free_ = 0, transactions_ = 0, bytes_read_ = 0, bytes_written_ = 0;
};

}  // namespace weft
