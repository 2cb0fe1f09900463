// A top module with an NPU, its clock, memory, register port and observation log.
#pragma once
#include <cstring>
#include <vector>

#include "Vnpu.h"
#include "digest.h"
#include "job.h"
#include "monitor.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Tracer = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Tracer = VerilatedVcdC;
#endif

namespace weft {

constexpr unsigned BEAT = WEFT_AXI_BYTES;

// A port of any width as bytes: Verilator's types are little-endian integers or arrays of words.
template <class Port> void put(Port& port, const void* bytes, size_t count) { std::memcpy(&port, bytes, count); }
template <class Port> const uint8_t* bytes_of(const Port& port) { return reinterpret_cast<const uint8_t*>(&port); }

#ifdef WEFT_LANES
// One write of the output stage, as Python reads it: `ordinal` counts the retire pulses before it.
struct __attribute__((packed)) WriteEvent {
    uint32_t cycle, ordinal, address;
    uint64_t mask;
    uint8_t data[WEFT_LANES];
};
#else
struct WriteEvent {};
#endif
struct RetireEvent { uint32_t cycle, index; };

// An address as it stands on the port, with its quality of service where the port has one.
struct Asked { Address address; uint64_t qos; };

// Memory is class Ddr or class Dram; Top is the module that Verilator made, `npu` or `soc`: their ports have the same names.
template <class Top, class Memory> class Bench {
    static constexpr bool HAS_QOS = requires(Top& t) { t.m_axi_arqos; };

public:
    explicit Bench(std::vector<uint8_t>& memory) : ddr(BEAT, memory) { context.fatalOnError(false); }
    virtual ~Bench() = default;

    Memory ddr;
    VerilatedContext context;
    Top top{&context, "npu"};
    Log log = Log::NONE;
    Digest digest;  // of the writes since `forget`
    std::vector<WriteEvent> writes;
    std::vector<RetireEvent> retires;

    void forget() { writes.clear(), retires.clear(), digest = {}; }
    bool irq() const { return irq_; }
    uint64_t cycle() const { return cycle_; }

    void open_trace(const char* path) {
#if VM_TRACE
        context.traceEverOn(true);
        top.trace(&trace_, 99);
        trace_.open(path);
#endif
    }

    // Traces `length` cycles in the middle of every `period` of a job, once a cycle, and nothing else; the file's times are cycles of the job.
    void trace_windows(uint64_t length, uint64_t period) { length_ = length, period_ = period; }
    void begin_job() { start_ = cycle_, running_ = true; }
    void end_job() { running_ = false; }

    // Holds reset for some cycles; the memory was configured. The cycle counter starts anew.
    void reset() {
        held_aw_.reset(), held_w_.reset(), held_ar_.reset();
        idle_inputs();
        top.rst = 1;
        for (int i = 0; i < 8; i++) edge();
        top.rst = 0;
        cycle_ = 0;
    }

    // One clock cycle. The register port's inputs are set by the caller beforehand and sampled by `axil_*` members after it.
    void step() {
        ddr.offer();
        drive();
        top.clk = 0;
        top.eval();
        if constexpr (requires(Top& t) { t.irq_npu; }) irq_ = top.irq_npu;
        else irq_ = top.irq;
        const bool w_waiting = sample(), given_up = this->given_up();
        observe();
        if (period_) dump_window();
        else dump();
        top.clk = 1;
        top.eval();
        if (!period_) dump();
        if (context.gotError()) {
            if (!given_up) throw PromiseError(at_cycle(cycle_, "a promise is broken"));
            context.gotError(false);
        }
        if constexpr (requires(Memory& m) { m.tick(true); }) ddr.tick(w_waiting);
        else ddr.tick();
        cycle_++;
    }

    // Handshakes of the register port in the cycle that just ended.
    bool axil_aw = false, axil_w = false, axil_b = false, axil_ar = false, axil_r = false;
    uint32_t axil_rdata = 0, axil_resp = 0;

protected:
    // What a bench wants to see of a cycle: called with the outputs of the cycle, before its edge.
    virtual void watch() {}

private:
    // In a job that is given up its parts are reset one after the other, and promises between them do not hold.
    bool given_up() const {
        if constexpr (requires(const Top& t) { t.obs_given_up; }) return top.obs_given_up;
        else return false;
    }

    void idle_inputs() {
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_arvalid = 0;
        top.s_axil_bready = top.s_axil_rready = 0;
        top.m_axi_awready = top.m_axi_wready = top.m_axi_arready = 0;
        top.m_axi_bvalid = top.m_axi_rvalid = 0;
    }

    void edge() {
        for (const int level : {0, 1}) {
            top.clk = level, top.eval();
            if (!period_) dump();
        }
    }

    void drive() {
        top.m_axi_arready = ddr.ar_ready();
        top.m_axi_awready = ddr.aw_ready();
        top.m_axi_wready = ddr.w_ready();
        top.m_axi_rvalid = ddr.r_valid();
        if (ddr.r_valid()) {
            const ReadBeat& beat = ddr.read_beat();
            top.m_axi_rid = beat.id, top.m_axi_rresp = beat.resp, top.m_axi_rlast = beat.last;
            put(top.m_axi_rdata, beat.data, BEAT);
        }
        top.m_axi_bvalid = ddr.b_valid();
        if (ddr.b_valid()) top.m_axi_bid = ddr.b_id(), top.m_axi_bresp = ddr.b_resp();
    }

    bool sample() {
        Asked ar{{top.m_axi_araddr, top.m_axi_arid, top.m_axi_arlen, top.m_axi_arsize, top.m_axi_arburst}, 0};
        Asked aw{{top.m_axi_awaddr, top.m_axi_awid, top.m_axi_awlen, top.m_axi_awsize, top.m_axi_awburst}, 0};
        if constexpr (HAS_QOS) ar.qos = top.m_axi_arqos, aw.qos = top.m_axi_awqos;
        held_ar_.check(cycle_, top.m_axi_arvalid, top.m_axi_arready, &ar);
        held_aw_.check(cycle_, top.m_axi_awvalid, top.m_axi_awready, &aw);
        held_w_.check(cycle_, top.m_axi_wvalid, top.m_axi_wready, bytes_of(top.m_axi_wdata));
        if (top.m_axi_wvalid && top.m_axi_wready) {  // before AW, so that a beat never belongs to a burst of this cycle
            const WriteBeat w{bytes_of(top.m_axi_wdata), bytes_of(top.m_axi_wstrb), bool(top.m_axi_wlast)};
            check_write_beat(cycle_, ddr.writing(), ddr.writing_beat(), w, BEAT);
            ddr.accept_w(w);
        }
        if (top.m_axi_rvalid && top.m_axi_rready) ddr.take_r();
        if (top.m_axi_bvalid && top.m_axi_bready) ddr.take_b();
        if (top.m_axi_arvalid && top.m_axi_arready) {
            check_burst(cycle_, "AR", ar.address, BEAT);
            if constexpr (HAS_QOS) ddr.accept_ar(ar.address, ar.qos);
            else ddr.accept_ar(ar.address);
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            check_burst(cycle_, "AW", aw.address, BEAT);
            if constexpr (HAS_QOS) ddr.accept_aw(aw.address, aw.qos);
            else ddr.accept_aw(aw.address);
        }
        axil_aw = top.s_axil_awvalid && top.s_axil_awready;
        axil_w = top.s_axil_wvalid && top.s_axil_wready;
        axil_b = top.s_axil_bvalid && top.s_axil_bready;
        axil_ar = top.s_axil_arvalid && top.s_axil_arready;
        axil_r = top.s_axil_rvalid && top.s_axil_rready;
        axil_rdata = top.s_axil_rdata;
        axil_resp = axil_b ? top.s_axil_bresp : top.s_axil_rresp;
        return top.m_axi_wvalid && !top.m_axi_wready;
    }

    void observe() {
        watch();
#ifdef WEFT_LANES
        if (log == Log::NONE) return;
        if (top.obs_write_valid) {
            WriteEvent event{uint32_t(cycle_), uint32_t(retires.size()), top.obs_write_address, top.obs_write_mask, {}};
            std::memcpy(event.data, bytes_of(top.obs_write_data), WEFT_LANES);
            digest.add(event.address, event.mask, event.data, WEFT_LANES);
            if (log == Log::FULL) writes.push_back(event);
        }
        if (top.obs_retire && log == Log::FULL) retires.push_back({uint32_t(cycle_), top.obs_retire_index});
#endif
    }

    void dump() {
#if VM_TRACE
        if (trace_.isOpen()) trace_.dump(time_++);
#endif
    }

    void dump_window() {
#if VM_TRACE
        const uint64_t since = cycle_ - start_, first = (period_ - length_) / 2;
        if (running_ && since >= first && (since - first) % period_ < length_) trace_.dump(since);
#endif
    }

    Held<sizeof(Asked)> held_aw_{"AW"}, held_ar_{"AR"};
    Held<BEAT> held_w_{"W"};
    bool irq_ = false;
    uint64_t cycle_ = 0;
    uint64_t length_ = 0, period_ = 0, start_ = 0;
    bool running_ = false;
#if VM_TRACE
    Tracer trace_;
    uint64_t time_ = 0;
#endif
};

}  // namespace weft
