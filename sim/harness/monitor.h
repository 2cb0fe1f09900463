// The AXI rules that a master must keep, checked in every cycle. The first one broken ends the run with a message.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "ddr.h"

namespace weft {

struct ProtocolError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A promise of the design was broken; Verilator has printed which one, and where.
struct PromiseError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::string at_cycle(uint64_t cycle, const std::string& text) { return "cycle " + std::to_string(cycle) + ": " + text; }

// Valid, once high, stays high with the same payload until ready (A3.2.1).
template <unsigned Bytes> class Held {
public:
    explicit Held(const char* name) : name_(name) {}
    void reset() { waiting_ = false; }
    void check(uint64_t cycle, bool valid, bool ready, const void* payload) {
        if (waiting_) {
            if (!valid) throw ProtocolError(at_cycle(cycle, std::string(name_) + "VALID fell before " + name_ + "READY"));
            if (std::memcmp(payload_, payload, Bytes)) throw ProtocolError(at_cycle(cycle, std::string(name_) + " payload changed before " + name_ + "READY"));
        }
        waiting_ = valid && !ready;
        if (waiting_) std::memcpy(payload_, payload, Bytes);
    }

private:
    const char* name_;
    bool waiting_ = false;
    uint8_t payload_[Bytes];
};

// A burst as it is accepted: incrementing, as wide as the port, within one page (A3.4.1).
inline void check_burst(uint64_t cycle, const char* name, const Address& a, unsigned beat_bytes) {
    char text[160];
    const uint64_t start = a.addr / beat_bytes * beat_bytes, last = start + uint64_t(a.len) * beat_bytes;
    const char* broken = a.burst != 1                   ? "is not INCR"
                         : (1u << a.size) != beat_bytes ? "is not as wide as the port"
                         : start / PAGE != last / PAGE  ? "crosses a 4 KiB boundary"
                                                        : nullptr;
    if (!broken) return;
    std::snprintf(text, sizeof text, "%s burst %s: addr=0x%llx len=%u size=%u burst=%u id=%u", name, broken, (unsigned long long)a.addr, a.len,
                  a.size, a.burst, a.id);
    throw ProtocolError(at_cycle(cycle, text));
}

// WLAST at the last beat and nowhere else; no strobe below an unaligned start.
inline void check_write_beat(uint64_t cycle, const Address& a, unsigned beat, const WriteBeat& w, unsigned beat_bytes) {
    if (w.last != (beat == a.len))
        throw ProtocolError(at_cycle(cycle, "WLAST=" + std::to_string(w.last) + " at beat " + std::to_string(beat) + " of a burst of " + std::to_string(a.len + 1)));
    if (beat == 0)
        for (unsigned i = 0; i < a.addr % beat_bytes; i++)
            if (w.strobe[i / 8] >> (i % 8) & 1) throw ProtocolError(at_cycle(cycle, "WSTRB set below the start of the burst"));
}

}  // namespace weft
