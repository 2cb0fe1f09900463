// Runs a job file on a bench: harness JOB RESULT [TRACE [LENGTH PERIOD]].
// Exit code 3: the design broke a rule of AXI; 4: its register port does not answer; 6: it broke a promise of its own, which is on stdout.
// The message is on stderr.
#pragma once
#include <memory>

#include "bench.h"
#include "job.h"

namespace weft {

constexpr int REGISTER_LIMIT = 10000;  // cycles in which a register access has to be answered

// A bench has `configure(File&)`, which reads how its memory behaves, and `execute`, which does the operations that are its own.
template <class Bench> class Runner {
public:
    Runner(File& job, File& result) : job_(job), result_(result), memory_(job.get<uint64_t>()), bench_(std::make_unique<Bench>(memory_)) {
        bench_->context.randReset(2);
        bench_->context.randSeed(job.get<uint32_t>());
    }
    void trace(const char* path) { bench_->open_trace(path); }
    void windows(const char* length, const char* period) { bench_->trace_windows(std::stoull(length), std::stoull(period)); }
    void run() {
        for (Op op = job_.get<Op>(); op != Op::END; op = job_.get<Op>()) execute(op);
        bench_->top.final();
    }

private:
    void execute(Op op) {
        switch (op) {
        case Op::END: break;
        case Op::RESET: bench_->configure(job_), bench_->reset(); break;
        case Op::LOAD: {
            const auto [address, length] = range();
            job_.read(memory_.data() + address, length);
            break;
        }
        case Op::POKE: poke(); break;
        case Op::PEEK: peek(); break;
        case Op::WAIT: wait(); break;
        case Op::DUMP: {
            const auto [address, length] = range();
            result_.write(memory_.data() + address, length);
            break;
        }
        case Op::STEP:
            for (uint64_t n = job_.get<uint64_t>(); n; n--) bench_->step();
            break;
        case Op::FILL: {
            const auto [address, length] = range();
            std::memset(memory_.data() + address, int(job_.get<uint32_t>()), length);
            break;
        }
        default: bench_->execute(op, job_, result_);
        }
    }

    std::pair<uint64_t, uint64_t> range() {
        const auto address = job_.get<uint64_t>(), length = job_.get<uint64_t>();
        if (address + length > memory_.size()) throw std::runtime_error("a range of the job file is outside memory");
        return {address, length};
    }

    void limit(uint64_t since, const char* what) {
        if (bench_->cycle() - since > REGISTER_LIMIT) throw std::range_error(at_cycle(bench_->cycle(), what));
    }

    void poke() {
        auto& top = bench_->top;
        const uint64_t since = bench_->cycle();
        top.s_axil_awaddr = job_.get<uint32_t>();
        top.s_axil_wdata = job_.get<uint32_t>();
        top.s_axil_wstrb = 0xF;
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = 1;
        for (bool done = false; !done; limit(since, "no answer to a register write")) {
            bench_->step();
            if (bench_->axil_aw) top.s_axil_awvalid = 0;
            if (bench_->axil_w) top.s_axil_wvalid = 0;
            if (bench_->axil_aw || bench_->axil_w) poked_ = bench_->cycle();  // the cycle after the later of the two
            done = bench_->axil_b;
        }
        top.s_axil_bready = 0;
    }

    void peek() {
        auto& top = bench_->top;
        const uint64_t since = bench_->cycle();
        top.s_axil_araddr = job_.get<uint32_t>();
        top.s_axil_arvalid = top.s_axil_rready = 1;
        for (bool done = false; !done; limit(since, "no answer to a register read")) {
            bench_->step();
            if (bench_->axil_ar) top.s_axil_arvalid = 0;
            done = bench_->axil_r;
        }
        top.s_axil_rready = 0;
        result_.put(bench_->axil_rdata);
    }

    // Runs until the interrupt; the register write before it started the job, so that its cycles count too.
    void wait() {
        const auto most = job_.get<uint64_t>();
        bench_->log = job_.get<Log>();
        bench_->forget();
        bench_->begin_job();
        do bench_->step();
        while (!bench_->irq() && bench_->cycle() - poked_ < most);
        bench_->end_job();
        result_.put(uint32_t(bench_->irq()));
        result_.put(bench_->cycle() - poked_);
        result_.put(bench_->digest.value());
        result_.put_all(bench_->writes);
        result_.put_all(bench_->retires);
    }

    File& job_;
    File& result_;
    std::vector<uint8_t> memory_;
    std::unique_ptr<Bench> bench_;
    uint64_t poked_ = 0;
};

template <class Bench> int run_job(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "use: harness JOB RESULT [TRACE]\n"), 2;
    try {
        File job(argv[1], "rb"), result(argv[2], "wb");
        Runner<Bench> runner(job, result);
        if (argc > 5) runner.windows(argv[4], argv[5]);
        if (argc > 3) runner.trace(argv[3]);
        runner.run();
        return 0;
    } catch (const ProtocolError& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 3;
    } catch (const std::range_error& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 4;
    } catch (const PromiseError& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 6;
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 5;
    }
}

}  // namespace weft
