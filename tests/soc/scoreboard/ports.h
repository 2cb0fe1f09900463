// The flat ports of the top, as one structure for each AXI port, and what masters and memory both know.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vnpu.h"
#include "monitor.h"

namespace scoreboard {

using weft::ProtocolError;
using weft::Random;

constexpr unsigned MASTERS = 4, IDS = 4, BYTES = 8;
constexpr unsigned PAGE_WORDS = 4096 / BYTES, PAGES = 64;        // pages of each master
constexpr unsigned SHARED = MASTERS * PAGES;                     // first page that all read and nobody writes
constexpr unsigned WORDS = (SHARED + PAGES) * PAGE_WORDS;

struct Port {
    uint8_t *awid, *awlen, *awsize, *awburst, *awvalid, *awready;
    uint32_t* awaddr;
    uint8_t *wstrb, *wlast, *wvalid, *wready;
    uint64_t* wdata;
    uint8_t *bid, *bresp, *bvalid, *bready;
    uint8_t *arid, *arlen, *arsize, *arburst, *arvalid, *arready;
    uint32_t* araddr;
    uint8_t *rid, *rresp, *rlast, *rvalid, *rready;
    uint64_t* rdata;
};

#define SCOREBOARD_PORT(top, p)                                                                                                             \
    Port {                                                                                                                                  \
        &top.p##_awid, &top.p##_awlen, &top.p##_awsize, &top.p##_awburst, &top.p##_awvalid, &top.p##_awready, &top.p##_awaddr,              \
            &top.p##_wstrb, &top.p##_wlast, &top.p##_wvalid, &top.p##_wready, &top.p##_wdata, &top.p##_bid, &top.p##_bresp,                 \
            &top.p##_bvalid, &top.p##_bready, &top.p##_arid, &top.p##_arlen, &top.p##_arsize, &top.p##_arburst, &top.p##_arvalid,           \
            &top.p##_arready, &top.p##_araddr, &top.p##_rid, &top.p##_rresp, &top.p##_rlast, &top.p##_rvalid, &top.p##_rready, &top.p##_rdata \
    }

// A burst as its master means it; a write with its beats.
struct Beat { uint64_t data; uint8_t strobe; };
struct Burst {
    unsigned master, id, word, len;  // word: address in beats
    std::vector<Beat> beats;
    unsigned address() const { return word * BYTES; }
    unsigned page() const { return word / PAGE_WORDS; }
};
using BurstPointer = std::shared_ptr<Burst>;

// What the memory answers: some addresses answer with an error, so that a response in the wrong place shows.
inline unsigned response(const Burst& burst) { return (burst.word * 2654435761u >> 29) == 0 ? weft::SLVERR : weft::OKAY; }
inline uint64_t first_content(unsigned word) { return (word + 1) * 0x9E3779B97F4A7C15ull; }

inline void store(uint64_t& word, const Beat& beat) {
    for (unsigned i = 0; i < BYTES; i++)
        if (beat.strobe >> i & 1) word = (word & ~(0xFFull << 8 * i)) | (beat.data & (0xFFull << 8 * i));
}

[[noreturn]] inline void fail(const char* what, const Burst& burst) {
    throw ProtocolError(std::string(what) + ": master " + std::to_string(burst.master) + " id " + std::to_string(burst.id) + " address " +
                        std::to_string(burst.address()) + " len " + std::to_string(burst.len));
}

inline void need(bool holds, const char* what) {
    if (!holds) throw ProtocolError(what);
}

// An offer that stands must not change; over all fields of a channel.
template <class... Fields> class Stands {
public:
    explicit Stands(const char* name) : name_(name) {}
    void check(bool valid, bool ready, Fields... fields) {
        const std::tuple<Fields...> now{fields...};
        if (waiting_ && !valid) throw ProtocolError(std::string(name_) + "VALID fell before READY");
        if (waiting_ && now != before_) throw ProtocolError(std::string(name_) + " changed before READY");
        waiting_ = valid && !ready;
        before_ = now;
    }

private:
    const char* name_;
    bool waiting_ = false;
    std::tuple<Fields...> before_;
};

}  // namespace scoreboard
