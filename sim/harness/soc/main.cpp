// The SoC, with a random master in the place of the CPU, on the DDR timing model.
#include "../dram.h"
#include "../runner.h"
#include "pictures.h"
#include "waits.h"

namespace weft {

class SocBench : public Bench<Vnpu, Dram> {
public:
    using Bench::Bench;

    void configure(File& job) {
        const auto config = job.get<DramConfig>();
        ddr.configure(config, job.get<uint64_t>());
        reads_ = {}, writes_ = {}, camera_ = {}, display_ = {};
    }

    void execute(Op op, File& job, File& result) {
        switch (op) {
        case Op::STATISTICS: report(result); break;
        case Op::LOOP:
            until_ = job.get<uint32_t>();
            loop_ = job.position();
            break;
        case Op::AGAIN: {
            const bool again = (camera_.running() && camera_.complete() < until_) || (display_.running() && display_.complete() < until_);
            result.put(uint32_t(again));
            if (again) job.go_back(loop_);
            break;
        }
        default: throw std::runtime_error("the job file has an operation that is not the SoC's");
        }
    }

private:
    // u64 cycle; DramStatistics; u64 bytes read and written by master; u64 number of time bins, these numbers for each bin;
    // by direction and master u64 length of the histogram and its u64 counts; of camera and display u64 complete pictures, faults, digests.
    void report(File& result) {
        result.put(cycle());
        result.put(ddr.statistics());
        put_bin(result, ddr.total());
        result.put(uint64_t(ddr.bins().size()));
        for (const Dram::Bin& bin : ddr.bins()) put_bin(result, bin);
        for (const Waits* waits : {&reads_, &writes_})
            for (const auto& counts : waits->histogram) result.put_all(counts);
        for (const Pictures* pictures : {&camera_, &display_}) {
            result.put(pictures->complete());
            result.put_all(pictures->faults);
            result.put_all(pictures->digests);
        }
    }
    static void put_bin(File& result, const Dram::Bin& bin) {
        for (const auto* bytes : {&bin.read, &bin.written})
            for (unsigned m = 0; m < MASTERS; m++) result.put((*bytes)[m]);
    }

    void watch() override {
        const uint64_t now = cycle();
        reads_.at_fabric(now, {bool(top.obs_ar_0), bool(top.obs_ar_1), bool(top.obs_ar_2), bool(top.obs_ar_3)},
                         {bool(top.obs_ar_taken_0), bool(top.obs_ar_taken_1), bool(top.obs_ar_taken_2), bool(top.obs_ar_taken_3)});
        writes_.at_fabric(now, {bool(top.obs_aw_0), bool(top.obs_aw_1), bool(top.obs_aw_2), bool(top.obs_aw_3)},
                          {bool(top.obs_aw_taken_0), bool(top.obs_aw_taken_1), bool(top.obs_aw_taken_2), bool(top.obs_aw_taken_3)});
        if (top.m_axi_rvalid && top.m_axi_rready && top.m_axi_rlast) reads_.done(now, top.m_axi_rid);
        if (top.m_axi_bvalid && top.m_axi_bready) writes_.done(now, top.m_axi_bid);
        if (top.m_axi_arvalid && top.m_axi_arready) reads_.on_port(top.m_axi_arid);
        if (top.m_axi_awvalid && top.m_axi_awready) writes_.on_port(top.m_axi_awid);
        if (top.pixels_valid) display_.show(bytes_of(top.pixels), BEAT);  // the last beat may come as the next picture begins
        camera_.see(now, top.obs_camera_start, top.obs_overflow);
        display_.see(now, top.frame_start, top.obs_underrun);
    }

    Waits reads_, writes_;
    Pictures camera_, display_;
    uint32_t until_ = 0;
    long loop_ = 0;
};

}  // namespace weft

int main(int argc, char** argv) { return weft::run_job<weft::SocBench>(argc, argv); }
