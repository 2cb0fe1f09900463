// The memory behind the port: keeps the order of equal IDs and of nothing else, and compares every burst with what its master issued.
#pragma once
#include "master.h"

namespace scoreboard {

// How the memory behaves; probabilities in 1/65536 a cycle.
struct Pace {
    uint32_t ar = 65536, r = 65536, aw = 65536, w = 65536, b = 65536;
    unsigned latency = 40, jitter = 0, outstanding = 16;
    bool shuffle = false;     // answers to different IDs in any order, beats of reads mixed
    bool early_data = false;  // W taken before its AW
};

class Memory {
public:
    Memory(const Port& port, const uint8_t* awqos, const uint8_t* arqos, std::vector<std::unique_ptr<Master>>& masters, uint32_t seed)
        : port_(port), awqos_(awqos), arqos_(arqos), masters_(masters), random_(seed), words_(WORDS) {
        for (unsigned word = 0; word < WORDS; word++) words_[word] = first_content(word);
    }

    Pace pace;
    uint64_t read_beats = 0, write_beats = 0;
    const std::vector<uint64_t>& words() const { return words_; }
    bool idle() const { return !reading_ && bursts_.empty() && beats_.empty() && !answering_; }
    const Burst* front() const { return bursts_.empty() ? nullptr : bursts_.front().get(); }  // whose beats come next

    void drive() {
        *port_.arready = reading_ < pace.outstanding && random_.chance(pace.ar);
        *port_.awready = bursts_.size() + answering_ < pace.outstanding && random_.chance(pace.aw);
        *port_.wready = (pace.early_data ? beats_.size() < 64 : left_ != 0) && random_.chance(pace.w);
        if (!r_stands_ && random_.chance(pace.r)) offer_read();
        if (!b_stands_ && random_.chance(pace.b)) offer_response();
        *port_.rvalid = r_stands_, *port_.bvalid = b_stands_;
        now_++;
    }

    unsigned sample() {
        unsigned moved = 0;
        held_ar_.check(*port_.arvalid, *port_.arready, *port_.arid, *port_.araddr, *port_.arlen, *port_.arsize, *port_.arburst, *arqos_);
        held_aw_.check(*port_.awvalid, *port_.awready, *port_.awid, *port_.awaddr, *port_.awlen, *port_.awsize, *port_.awburst, *awqos_);
        held_w_.check(*port_.wvalid, *port_.wready, *port_.wdata, *port_.wstrb, *port_.wlast);
        // Behind gates the port waits for nobody.
        need(!*port_.rvalid || *port_.rready, "R waits for a master");
        need(!*port_.bvalid || *port_.bready, "B waits for a master");
        need(left_ == 0 || *port_.wvalid, "W waits for a master");
        if (*port_.wvalid && *port_.wready) {
            beats_.push_back({{*port_.wdata, *port_.wstrb}, bool(*port_.wlast)}), write_beats++, moved++;
            if (left_) left_--;
            else early_++;
        }
        if (*port_.arvalid && *port_.arready) accept_read(), moved++;
        if (*port_.awvalid && *port_.awready) accept_write(), moved++;
        write();
        if (*port_.rvalid && *port_.rready) {
            auto& queue = reads_[offered_];
            if (queue.front().beat++ == queue.front().burst->len) queue.pop_front(), reading_--, drop(read_order_, offered_);
            r_stands_ = false, read_beats++, moved++;
        }
        if (*port_.bvalid && *port_.bready) {
            answers_[answered_].pop_front(), answering_--;
            b_stands_ = false, moved++;
        }
        return moved;
    }

private:
    struct Reading { BurstPointer burst; unsigned beat; uint64_t due; };
    struct Answer { BurstPointer burst; uint64_t due; };
    struct WriteBeat { Beat beat; bool last; };

    uint64_t due() { return now_ + pace.latency + (pace.jitter ? random_.next() % (pace.jitter + 1) : 0); }

    // The burst that a master issued and the port has not shown yet: it must be this one.
    BurstPointer next_of(std::deque<BurstPointer>& issued, unsigned number, unsigned id, unsigned address, unsigned len, unsigned size, unsigned kind) {
        need(!issued.empty(), "a burst that no master issued");
        const BurstPointer burst = issued.front();
        if (burst->id != id || burst->address() != address || burst->len != len || size != 3 || kind != 1) fail("changed, lost or out of order", *burst);
        if (burst->master != number) fail("under the wrong master's ID", *burst);
        issued.pop_front();
        return burst;
    }

    void accept_read() {
        const unsigned number = *port_.arid / IDS;
        const auto burst = next_of(masters_[number]->issued_reads, number, *port_.arid % IDS, *port_.araddr, *port_.arlen, *port_.arsize, *port_.arburst);
        reads_[*port_.arid].push_back({burst, 0, due()});
        read_order_.push_back(*port_.arid), reading_++;
    }

    void accept_write() {
        const unsigned number = *port_.awid / IDS;
        const auto burst = next_of(masters_[number]->issued_writes, number, *port_.awid % IDS, *port_.awaddr, *port_.awlen, *port_.awsize, *port_.awburst);
        bursts_.push_back(burst);
        const unsigned there = std::min<unsigned>(early_, burst->len + 1);
        early_ -= there, left_ += burst->len + 1 - there;
    }

    // Beats that have their address.
    void write() {
        while (!bursts_.empty() && !beats_.empty()) {
            const BurstPointer burst = bursts_.front();
            const WriteBeat beat = beats_.front();
            const Beat& want = burst->beats[written_];
            if (beat.beat.data != want.data || beat.beat.strobe != want.strobe) fail("wrong beat", *burst);
            if (beat.last != (written_ == burst->len)) fail("wrong WLAST", *burst);
            store(words_[burst->word + written_], beat.beat);
            beats_.pop_front();
            if (written_++ < burst->len) continue;
            answers_[burst->master * IDS + burst->id].push_back({burst, due()});
            answer_order_.push_back(burst->master * IDS + burst->id);
            answering_++, written_ = 0, bursts_.pop_front();
        }
    }

    static void drop(std::deque<unsigned>& order, unsigned id) {
        for (auto i = order.begin(); i != order.end(); ++i)
            if (*i == id) return void(order.erase(i));
    }

    // Any ID whose oldest is due; without `shuffle` the ID of the oldest of all.
    template <class Queues> int choose(const Queues& queues, const std::deque<unsigned>& order) {
        if (order.empty()) return -1;
        const unsigned id = pace.shuffle ? order[random_.next() % order.size()] : order.front();
        return queues[id].front().due <= now_ ? int(id) : -1;
    }

    void offer_read() {
        const int id = choose(reads_, read_order_);
        if (id < 0) return;
        const Reading& reading = reads_[offered_ = id].front();
        r_stands_ = true, *port_.rid = id, *port_.rresp = response(*reading.burst);
        *port_.rdata = words_[reading.burst->word + reading.beat], *port_.rlast = reading.beat == reading.burst->len;
    }

    void offer_response() {
        const int id = choose(answers_, answer_order_);
        if (id < 0) return;
        answered_ = id, drop(answer_order_, id);
        b_stands_ = true, *port_.bid = id, *port_.bresp = response(*answers_[id].front().burst);
    }

    const Port port_;
    const uint8_t *awqos_, *arqos_;
    std::vector<std::unique_ptr<Master>>& masters_;
    Random random_;
    std::vector<uint64_t> words_;
    std::array<std::deque<Reading>, MASTERS * IDS> reads_;
    std::array<std::deque<Answer>, MASTERS * IDS> answers_;
    std::deque<unsigned> read_order_, answer_order_;
    std::deque<BurstPointer> bursts_;  // accepted, beats not all here
    std::deque<WriteBeat> beats_;      // here, without an address
    unsigned reading_ = 0, answering_ = 0, written_ = 0, left_ = 0, early_ = 0, offered_ = 0, answered_ = 0;
    bool r_stands_ = false, b_stands_ = false;  // an offer
    uint64_t now_ = 0;
    Stands<uint8_t, uint32_t, uint8_t, uint8_t, uint8_t, uint8_t> held_ar_{"AR"}, held_aw_{"AW"};
    Stands<uint64_t, uint8_t, uint8_t> held_w_{"W"};
};

}  // namespace scoreboard
