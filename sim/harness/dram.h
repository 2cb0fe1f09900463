// SDRAM and its controller behind an AXI4 port: what a SoC's masters share. docs/ddr.md says what is modelled and what is not.
//
//     Dram dram(beat_bytes, memory);           // memory: the bytes, address 0 first; bursts beyond it answer DECERR
//     dram.configure(config, bin_cycles);      // forgets all transactions, time and statistics; memory stays
//     every cycle of the bus:
//         dram.offer();                        // decides ready, valid and payload: look at ar_ready() ... b_resp()
//         ... the edge ...                     // what was exchanged: accept_ar, accept_aw, accept_w, take_r, take_b
//         dram.tick();                         // the SDRAM's clocks of this cycle
//
// As class Ddr of ddr.h, but for `qos` (0 to 15, the higher goes first) and for time: a cycle lasts config.bus_ps. An id is
// (master << id_bits) | id of the master; bursts of one id are answered in order, others overtake. The beats of a read burst
// are not interleaved with another's. Data are written to `memory` when their beat is accepted, and a write is answered when
// its last beat is in the controller; a read fetches its bytes when a beat is offered, and its time counts behind the queued
// writes that it overlaps. So a read whose address is accepted after a write's answer was taken sees that write.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "ddr.h"
#include "dram_queue.h"

namespace weft {

class Dram {
public:
    static constexpr unsigned MASTERS = 16;
    // Bytes on the AXI port in a time bin, by master: whole beats.
    struct Bin { std::array<uint64_t, MASTERS> read, written; };

    Dram(unsigned beat_bytes, std::vector<uint8_t>& memory, unsigned id_bits = 2) : bytes_(beat_bytes), id_bits_(id_bits), memory_(memory) {}

    void configure(const DramConfig& config, uint64_t bin_cycles = 0) {
        c_ = config;
        queue_ = std::make_unique<DramQueue>(config);
        responses_.clear(), bins_.clear();
        total_ = {};
        r_offered_ = b_offered_ = ar_ready_ = aw_ready_ = w_ready_ = false;
        on_r_ = NONE, received_ = 0, numbers_ = 0, now_ = 0, now_ps_ = 0, wake_ = wake_ps_ = 0;
        bin_cycles_ = bin_cycles;
    }

    // Every SDRAM command from now on is appended to it; set it after `configure`.
    void log_to(std::vector<DramCommand>* log) { queue_->device.log = log; }

    // Before the edge.
    void offer() {
        const auto& reads = queue_->reads;
        ar_ready_ = reads.size() < c_.read_queue;
        aw_ready_ = queue_->writes.size() + responses_.size() < c_.write_queue;
        w_ready_ = queue_->writes.size() > received_ && queue_->write_data < c_.write_buffer;
        if (!r_offered_ && !reads.empty()) {
            if (on_r_ == NONE) choose_read();
            if (on_r_ != NONE && at_bus(reads[on_r_])) load_beat();
        }
        if (!b_offered_ && !responses_.empty()) b_offered_ = responses_.front().ready_ps <= now_ps_;
    }

    bool ar_ready() const { return ar_ready_; }
    bool aw_ready() const { return aw_ready_; }
    bool w_ready() const { return w_ready_; }
    bool r_valid() const { return r_offered_; }
    bool b_valid() const { return b_offered_; }
    const ReadBeat& read_beat() const { return beat_; }
    unsigned b_id() const { return responses_.front().id; }
    unsigned b_resp() const { return responses_.front().resp; }
    bool outstanding() const { return !queue_->reads.empty() || !queue_->writes.empty() || !responses_.empty(); }

    // At the edge.
    void accept_ar(const Address& a, unsigned qos) {
        DramBurst burst = accepted(a, qos);
        burst.ready.push_back(arrival());
        if (burst.resp != OKAY) burst.done_ps.push_back(edge_ps() + c_.front_ps + c_.back_ps);
        for (unsigned i = 0; i < received_; i++)
            if (DramBurst& w = queue_->writes[i]; w.start < burst.end && burst.start < w.end) {
                burst.after.push_back(w.number);
                w.first = true;
            }
        queue_->reads.push_back(std::move(burst));
        wake(arrival());
    }
    void accept_aw(const Address& a, unsigned qos) {
        queue_->writes.push_back(accepted(a, qos));
        queue_->writes.back().strobed.resize(queue_->writes.back().total);
    }

    // The burst that the next beat on W belongs to, and the number of that beat.
    const Address& writing() const { return queue_->writes[received_].address; }
    unsigned writing_beat() const { return queue_->writes[received_].beat; }

    void accept_w(const WriteBeat& w) {
        DramBurst& burst = queue_->writes[received_];
        const uint64_t at = beat_address(burst);
        const bool last = burst.beat == burst.address.len;
        if (burst.resp == OKAY) {
            for (unsigned i = 0; i < bytes_; i++)
                if (w.strobe[i / 8] >> (i % 8) & 1) memory_[at + i] = w.data[i];
            count_strobes(burst, at, w.strobe);
            const uint64_t complete = last ? burst.total : (at + bytes_ - burst.start) / c_.burst_bytes();
            while (burst.ready.size() < complete) burst.ready.push_back(arrival()), queue_->write_data++;
            wake(arrival());
        }
        moved(burst.address.id, true);
        burst.beat++;
        if (!last) return;
        responses_.push_back({burst.address.id, burst.resp, edge_ps() + c_.front_ps});
        if (burst.resp == OKAY) received_++;
        else queue_->writes.erase(queue_->writes.begin() + received_);
    }
    void take_r() {
        DramBurst& burst = queue_->reads[on_r_];
        r_offered_ = false;
        moved(burst.address.id, false);
        if (burst.beat++ < burst.address.len) return;
        queue_->reads.erase(queue_->reads.begin() + on_r_);
        on_r_ = NONE;
    }
    void take_b() {
        b_offered_ = false;
        responses_.pop_front();
    }
    void tick() {
        now_++;
        now_ps_ += c_.bus_ps;
        while (wake_ps_ < now_ps_) {
            const size_t before = queue_->writes.size();
            set_wake(queue_->step(wake_));
            received_ -= before - queue_->writes.size();  // only bursts received in full leave
        }
    }

    uint64_t cycle() const { return now_; }
    DramStatistics statistics() const {
        DramStatistics s = queue_->statistics;
        s.clocks = c_.clock_of(now_ps_);
        return s;
    }
    const Bin& total() const { return total_; }
    const std::vector<Bin>& bins() const { return bins_; }  // `bin_cycles` cycles each; the last ones may be missing

private:
    static constexpr size_t NONE = ~size_t(0);
    struct Response { unsigned id, resp; int64_t ready_ps; };

    int64_t edge_ps() const { return now_ps_ + c_.bus_ps; }
    int64_t arrival() const { return c_.clock_of(edge_ps() + c_.front_ps); }
    void set_wake(int64_t clock) { wake_ = clock, wake_ps_ = c_.ps_of(clock); }
    void wake(int64_t clock) {
        if (clock < wake_) set_wake(clock);
    }

    DramBurst accepted(const Address& a, unsigned qos) {
        const uint64_t first = a.addr / bytes_ * bytes_, end = first + (uint64_t(a.len) + 1) * bytes_, unit = c_.burst_bytes();
        DramBurst burst{};
        burst.address = a;
        burst.qos = qos;
        burst.number = numbers_++;
        burst.resp = end > memory_.size() ? DECERR : OKAY;
        if (burst.resp != OKAY) return burst;
        burst.start = first / unit * unit;
        burst.end = (end + unit - 1) / unit * unit;
        burst.total = (burst.end - burst.start) / unit;
        queue_->locate(burst);
        return burst;
    }

    uint64_t beat_address(const DramBurst& burst) const { return burst.address.addr / bytes_ * bytes_ + uint64_t(burst.beat) * bytes_; }

    bool at_bus(const DramBurst& burst) const {
        const size_t needed = burst.resp == OKAY ? (beat_address(burst) + bytes_ - 1 - burst.start) / c_.burst_bytes() : 0;
        return burst.done_ps.size() > needed && burst.done_ps[needed] <= now_ps_;
    }

    // The burst whose beats are next: the highest QoS, then the oldest, of those that are the first of their id and have data.
    void choose_read() {
        std::array<uint64_t, 4> seen{};  // ids with an older burst
        for (size_t i = 0; i < queue_->reads.size(); i++) {
            const DramBurst& burst = queue_->reads[i];
            uint64_t& word = seen[burst.address.id / 64 % seen.size()];
            const uint64_t bit = uint64_t(1) << burst.address.id % 64;
            if (!(word & bit) && at_bus(burst) && (on_r_ == NONE || burst.qos > queue_->reads[on_r_].qos)) on_r_ = i;
            word |= bit;
        }
        if (on_r_ == NONE) return;
        queue_->reads[on_r_].first = true;
        wake(c_.clock_of(now_ps_));
    }

    void load_beat() {
        const DramBurst& burst = queue_->reads[on_r_];
        if (burst.resp == OKAY) std::memcpy(data_, memory_.data() + beat_address(burst), bytes_);  // a copy: a write may follow
        else std::memset(data_, 0, bytes_);
        beat_ = {burst.address.id, data_, burst.resp, burst.beat == burst.address.len};
        r_offered_ = true;
    }

    void count_strobes(DramBurst& burst, uint64_t at, const uint8_t* strobe) {
        const uint64_t unit = c_.burst_bytes();
        for (unsigned i = 0; i < bytes_; i += 8) {
            const uint8_t mask = bytes_ - i < 8 ? (1u << (bytes_ - i)) - 1 : 0xFF;
            burst.strobed[(at + i - burst.start) / unit] += std::popcount(uint8_t(strobe[i / 8] & mask));
        }
    }

    void moved(unsigned id, bool write) {
        const unsigned master = (id >> id_bits_) % MASTERS;
        (write ? total_.written : total_.read)[master] += bytes_;
        if (!bin_cycles_) return;
        const size_t bin = now_ / bin_cycles_;
        if (bins_.size() <= bin) bins_.resize(bin + 1);
        (write ? bins_[bin].written : bins_[bin].read)[master] += bytes_;
    }

    const uint32_t bytes_, id_bits_;
    std::vector<uint8_t>& memory_;
    DramConfig c_{};
    std::unique_ptr<DramQueue> queue_;
    std::deque<Response> responses_;
    std::vector<Bin> bins_;
    Bin total_{};
    ReadBeat beat_{};
    uint8_t data_[32];
    bool ar_ready_ = false, aw_ready_ = false, w_ready_ = false, r_offered_ = false, b_offered_ = false;
    size_t on_r_ = NONE;       // the read burst whose beats are on offer
    size_t received_ = 0;      // queued writes with all their data: they stand in front
    uint64_t numbers_ = 0, now_ = 0, bin_cycles_ = 0;
    int64_t now_ps_ = 0, wake_ = 0, wake_ps_ = 0;
};

}  // namespace weft
