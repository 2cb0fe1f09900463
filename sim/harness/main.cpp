// The NPU alone on the reference DDR.
#include "ddr.h"
#include "runner.h"

namespace weft {

class NpuBench : public Bench<Vnpu, Ddr> {
public:
    using Bench::Bench;

    void configure(File& job) { ddr.configure(ddr_config(job)); }
    void execute(Op op, File& job, File&) {
        if (op != Op::TUNE) throw std::runtime_error("the job file has an operation that is not the NPU's");
        ddr.tune(ddr_config(job));
    }

private:
    static DdrConfig ddr_config(File& job) {
        DdrConfig c;
        for (uint32_t* field : {&c.read_latency, &c.write_latency, &c.latency_jitter, &c.bytes_per_cycle, &c.outstanding, &c.stall_ar, &c.stall_r,
                                &c.stall_aw, &c.stall_w, &c.stall_b, &c.seed, &c.error_reads, &c.error_writes})
            *field = job.get<uint32_t>();
        for (uint64_t* field : {&c.error_start, &c.error_end, &c.silent_after}) *field = job.get<uint64_t>();
        return c;
    }
};

}  // namespace weft

int main(int argc, char** argv) { return weft::run_job<weft::NpuBench>(argc, argv); }
