// A master: random bursts in its own pages, every answer compared with what it wrote and asked for.
#pragma once
#include "ports.h"

namespace scoreboard {

// How a master behaves; probabilities in 1/65536 a cycle.
struct Traffic {
    uint32_t read = 0, write = 0;             // a new burst
    uint32_t w = 65536, r = 65536, b = 65536;  // W offered, R and B taken
    unsigned shortest = 1, longest = 16, outstanding = 16;
    bool strobes = true;
};

class Master {
public:
    Master(unsigned number, const Port& port, uint32_t seed, std::vector<uint64_t>& shadow, uint64_t& budget)
        : number_(number), port_(port), random_(seed), shadow_(shadow), budget_(budget), reads_in_(SHARED + PAGES), writes_in_(SHARED + PAGES) {}

    Traffic traffic;
    std::deque<BurstPointer> issued_reads, issued_writes;  // what the memory has not seen yet, in order
    uint64_t reads = 0, writes = 0;                        // done
    bool idle() const { return !reading_ && !writing_ && !ar_ && !aw_ && w_.empty(); }

    void drive() {
        if (budget_ && !ar_ && reading_ < traffic.outstanding && random_.chance(traffic.read)) begin_read();
        if (budget_ && !aw_ && writing_ < traffic.outstanding && w_.size() < 512 && random_.chance(traffic.write)) begin_write();
        offer(ar_, *port_.arvalid, *port_.arid, *port_.araddr, *port_.arlen, *port_.arsize, *port_.arburst);
        offer(aw_, *port_.awvalid, *port_.awid, *port_.awaddr, *port_.awlen, *port_.awsize, *port_.awburst);
        if (!w_offered_ && !w_.empty() && random_.chance(traffic.w)) {
            w_offered_ = true;
            *port_.wdata = w_.front().beat.data, *port_.wstrb = w_.front().beat.strobe, *port_.wlast = w_.front().last;
        }
        *port_.wvalid = w_offered_;
        *port_.rready = random_.chance(traffic.r);
        *port_.bready = random_.chance(traffic.b);
    }

    // After the inputs have settled; how many handshakes there were.
    unsigned sample() {
        unsigned moved = 0;
        held_r_.check(*port_.rvalid, *port_.rready, *port_.rid, *port_.rdata, *port_.rresp, *port_.rlast);
        held_b_.check(*port_.bvalid, *port_.bready, *port_.bid, *port_.bresp);
        if (*port_.arvalid && *port_.arready) ar_ = nullptr, moved++;
        if (*port_.awvalid && *port_.awready) aw_ = nullptr, moved++;
        if (*port_.wvalid && *port_.wready) w_.pop_front(), w_offered_ = false, moved++;
        if (*port_.rvalid && *port_.rready) take_read(), moved++;
        if (*port_.bvalid && *port_.bready) take_response(), moved++;
        return moved;
    }

private:
    struct WriteBeat { Beat beat; bool last; };
    struct Reading { BurstPointer burst; unsigned beat; };

    BurstPointer draw(bool shared) {
        const unsigned length = traffic.shortest + random_.next() % (traffic.longest - traffic.shortest + 1);
        const unsigned page = (shared ? SHARED : number_ * PAGES) + random_.next() % PAGES;
        const unsigned place = random_.next() % (PAGE_WORDS - length + 1);
        return std::make_shared<Burst>(Burst{number_, random_.next() % IDS, page * PAGE_WORDS + place, length - 1, {}});
    }

    void begin_read() {
        BurstPointer burst = draw(random_.chance(16384));
        if (writes_in_[burst->page()]) return;  // what it reads would depend on time
        reads_in_[burst->page()]++, reading_++, budget_--;
        reads_[burst->id].push_back({burst, 0});
        issued_reads.push_back(ar_ = burst);
    }

    void begin_write() {
        BurstPointer burst = draw(false);
        if (writes_in_[burst->page()] || reads_in_[burst->page()]) return;
        for (unsigned k = 0; k <= burst->len; k++) {
            const uint64_t high = random_.next();
            const uint8_t strobe = traffic.strobes && random_.chance(16384) ? random_.next() : 0xFF;
            burst->beats.push_back({high << 32 | random_.next(), strobe});
            w_.push_back({burst->beats.back(), k == burst->len});
        }
        writes_in_[burst->page()]++, writing_++, budget_--;
        writes_[burst->id].push_back(burst);
        issued_writes.push_back(aw_ = burst);
    }

    static void offer(const BurstPointer& burst, uint8_t& valid, uint8_t& id, uint32_t& address, uint8_t& len, uint8_t& size, uint8_t& kind) {
        valid = burst != nullptr;
        if (burst) id = burst->id, address = burst->address(), len = burst->len, size = 3, kind = 1;
    }

    void take_read() {
        auto& waiting = reads_[*port_.rid];
        need(!waiting.empty(), "a master gets data that it did not ask for");
        Reading& reading = waiting.front();
        const Burst& burst = *reading.burst;
        if (*port_.rdata != shadow_[burst.word + reading.beat]) fail("wrong data", burst);
        if (*port_.rresp != response(burst)) fail("wrong RRESP", burst);
        if (*port_.rlast != (reading.beat == burst.len)) fail("wrong RLAST", burst);
        if (reading.beat++ == burst.len) reads_in_[burst.page()]--, reading_--, reads++, waiting.pop_front();
    }

    void take_response() {
        auto& waiting = writes_[*port_.bid];
        need(!waiting.empty(), "a master gets a response to no burst");
        const BurstPointer burst = waiting.front();
        if (*port_.bresp != response(*burst)) fail("wrong BRESP", *burst);
        for (unsigned k = 0; k <= burst->len; k++) store(shadow_[burst->word + k], burst->beats[k]);
        writes_in_[burst->page()]--, writing_--, writes++, waiting.pop_front();
    }

    const unsigned number_;
    const Port port_;
    Random random_;
    std::vector<uint64_t>& shadow_;  // what this master knows to stand in its pages
    uint64_t& budget_;               // bursts that may still begin, of all masters
    std::vector<unsigned> reads_in_, writes_in_;  // of each page
    std::array<std::deque<Reading>, IDS> reads_;
    std::array<std::deque<BurstPointer>, IDS> writes_;
    std::deque<WriteBeat> w_;
    BurstPointer ar_, aw_;
    bool w_offered_ = false;
    unsigned reading_ = 0, writing_ = 0;
    Stands<uint8_t, uint64_t, uint8_t, uint8_t> held_r_{"R"};
    Stands<uint8_t, uint8_t> held_b_{"B"};
};

}  // namespace scoreboard
