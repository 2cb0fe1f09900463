// Random masters on the fabrics: scoreboard MODE SEED TRANSACTIONS LONGEST0 .. LONGEST3. Results on stdout, a name and a number a line.
// Exit code 3: something is lost, doubled, out of order or corrupted; the message is on stderr.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "memory.h"

namespace scoreboard {

// Grants to others that the only master in front (urgent, or of class 0) sees while it waits: at most one (`GrantArbiter`), and one to a
// master that was in front when the choice was made and is not when it is granted, as the settings change.
class FrontWait {
public:
    unsigned worst = 0;
    void check(unsigned request, unsigned grant, unsigned front, unsigned regulated) {
        for (unsigned i = 0; i < MASTERS; i++) {
            const unsigned bit = 1u << i;
            const bool alone = (request & front) == bit && !(regulated & bit);
            if (!alone || grant & bit) waited_[i] = 0;
            else if (grant) worst = std::max(worst, ++waited_[i]);
        }
        need(worst <= 2, "the highest class waited for three bursts");
    }

private:
    std::array<unsigned, MASTERS> waited_{};
};

// Bursts of others that the port takes between a request of master 0 and its own.
class PortWait {
public:
    unsigned worst = 0;
    void check(bool request, bool taken, unsigned owner) {
        if (taken && owner == 0) waiting_ = false;
        else if (taken && waiting_) worst = std::max(worst, ++others_);
        if (request && !waiting_) waiting_ = true, others_ = taken && owner != 0;
    }

private:
    bool waiting_ = false;
    unsigned others_ = 0;
};

class Run {
public:
    Run(const char* mode, uint32_t seed, uint64_t count, std::array<unsigned, MASTERS> longest)
        : mode_(mode), budget_(count), longest_(longest), random_(seed), shadow_(WORDS) {
        for (unsigned word = 0; word < WORDS; word++) shadow_[word] = first_content(word);
        const std::array<Port, MASTERS> ports{SCOREBOARD_PORT(top_, s0_axi), SCOREBOARD_PORT(top_, s1_axi), SCOREBOARD_PORT(top_, s2_axi),
                                              SCOREBOARD_PORT(top_, s3_axi)};
        for (unsigned i = 0; i < MASTERS; i++) masters_.push_back(std::make_unique<Master>(i, ports[i], seed * MASTERS + i + 1, shadow_, budget_));
        memory_ = std::make_unique<Memory>(SCOREBOARD_PORT(top_, m_axi), &top_.m_axi_awqos, &top_.m_axi_arqos, masters_, seed + 77);
    }

    void run() {
        top_.rst = 1;
        for (int i = 0; i < 4; i++) edge();
        top_.rst = 0;
        begin();
        for (uint64_t quiet = 0; !done();) {
            quiet = step() ? 0 : quiet + 1;
            if (quiet == 50000) throw ProtocolError("nothing moves any more: cycle " + std::to_string(cycle_) + ", " + std::to_string(budget_) + " bursts to begin, requests " + std::to_string(top_.obs_read_request) + " " + std::to_string(top_.obs_write_request));
        }
        for (const auto& master : masters_) need(master->issued_reads.empty() && master->issued_writes.empty(), "a burst is lost");
        need(memory_->idle(), "the memory has work that nobody waits for");
        need(memory_->words() == shadow_, "the memory is not what the masters wrote");
        report();
    }

private:
    bool is(const char* mode) const { return !std::strcmp(mode_, mode); }
    bool done() const {
        for (const auto& master : masters_)
            if (!master->idle()) return false;
        return !budget_;
    }

    void begin() {
        if (is("random")) return;
        const bool reads = is("reads") || is("both") || is("priority") || is("alone"), writes = !is("reads");
        for (unsigned i = 0; i < MASTERS; i++) {
            Traffic& traffic = masters_[i]->traffic;
            traffic.read = reads ? 65536 : 0, traffic.write = writes ? 65536 : 0;
            traffic.shortest = traffic.longest = 16, traffic.strobes = false;
            if (is("alone") && i != 3) traffic.read = traffic.write = 0;
        }
        if (!is("priority")) return;
        for (unsigned i = 0; i < MASTERS; i++) masters_[i]->traffic.shortest = masters_[i]->traffic.longest = longest_[i];
        masters_[0]->traffic.read = masters_[0]->traffic.write = 1000;
        top_.klass_1 = top_.klass_2 = top_.klass_3 = 1;
        memory_->pace.ar = 4096;  // addresses of reads wait for the port
    }

    // A new character for everybody, every now and then.
    void redraw() {
        const auto some = [&] { return random_.chance(20000) ? 65536u : 1u << (9 + random_.next() % 8); };
        for (unsigned i = 0; i < MASTERS; i++) {
            Traffic& traffic = masters_[i]->traffic;
            traffic.read = random_.chance(10000) ? 0 : some(), traffic.write = random_.chance(10000) ? 0 : some();
            traffic.w = some(), traffic.r = some(), traffic.b = some();
            traffic.longest = 1 + random_.next() % (random_.chance(16384) ? longest_[i] : std::min(longest_[i], 8u));
            traffic.outstanding = 1 + random_.next() % 24;
            regulate(i);
        }
        if (!masters_[0]->traffic.read && !masters_[0]->traffic.write) masters_[0]->traffic.read = 65536;
        top_.age_limit = random_.chance(32768) ? 0 : 1 + random_.next() % 20;
        Pace& pace = memory_->pace;
        pace.ar = some(), pace.r = some(), pace.aw = some(), pace.w = some(), pace.b = some();
        pace.latency = random_.next() % 60, pace.jitter = random_.next() % 30, pace.outstanding = 1 + random_.next() % 20;
        pace.shuffle = random_.chance(40000), pace.early_data = random_.chance(32768);
    }

    void regulate(unsigned i) {
        const bool on = random_.chance(16384);
        const uint32_t klass = random_.next() % 4, rate = on ? 4096 + random_.next() % 40000 : 0, depth = random_.next() % 300;
        switch (i) {
        case 0: top_.klass_0 = klass, top_.rate_0 = rate, top_.depth_0 = depth; break;
        case 1: top_.klass_1 = klass, top_.rate_1 = rate, top_.depth_1 = depth; break;
        case 2: top_.klass_2 = klass, top_.rate_2 = rate, top_.depth_2 = depth; break;
        default: top_.klass_3 = klass, top_.rate_3 = rate, top_.depth_3 = depth;
        }
        redrawn_ = cycle_;
    }

    unsigned step() {
        if (is("random") && cycle_ % 4096 == 0) redraw();
        if (is("random") && random_.chance(2000)) top_.urgent = random_.chance(32768) ? 0 : random_.next() % (1 << MASTERS);
        const bool more = budget_;
        for (auto& master : masters_) master->drive();
        memory_->drive();
        top_.clk = 0, top_.eval();
        unsigned moved = memory_->sample();
        for (auto& master : masters_) moved += master->sample();
        check_waits();
        if (more) busy_from_to();
        top_.clk = 1, top_.eval();
        cycle_++;
        return moved;
    }

    void check_waits() {
        const unsigned classes[] = {top_.klass_0, top_.klass_1, top_.klass_2, top_.klass_3};
        const unsigned rates[] = {top_.rate_0, top_.rate_1, top_.rate_2, top_.rate_3};
        unsigned front = top_.urgent, regulated = 0;
        for (unsigned i = 0; i < MASTERS; i++) front |= (classes[i] == 0) << i, regulated |= (rates[i] != 0 || cycle_ - redrawn_ < 3) << i;
        reads_.check(top_.obs_read_request, top_.obs_read_grant, front, regulated);
        writes_.check(top_.obs_write_request, top_.obs_write_grant, front, regulated);
        read_port_.check(top_.obs_read_request & 1, top_.m_axi_arvalid && top_.m_axi_arready, top_.m_axi_arid / IDS);
        write_port_.check(top_.obs_write_request & 1, top_.m_axi_awvalid && top_.m_axi_awready, top_.m_axi_awid / IDS);
        // From master 0's request to its turn on W, cycles.
        const Burst* burst = memory_->front();
        const bool mine = burst && burst->master == 0;
        if (mine && w_since_) w_wait_ = std::max(w_wait_, cycle_ - w_since_), w_since_ = 0;
        else if ((top_.obs_write_request & 1) && !w_since_ && !mine) w_since_ = cycle_;
    }

    // The port's share of cycles with a beat, while all have more to do; the first thousand cycles fill the queues.
    void busy_from_to() {
        if (cycle_ == 1000) first_ = {cycle_, memory_->read_beats, memory_->write_beats};
        last_ = {cycle_, memory_->read_beats, memory_->write_beats};
    }

    void report() const {
        uint64_t reads = 0, writes = 0;
        for (const auto& master : masters_) reads += master->reads, writes += master->writes;
        const double cycles = double(last_[0] - first_[0]);
        std::printf("transactions %llu\nreads %llu\nwrites %llu\ncycles %llu\n", (unsigned long long)(reads + writes), (unsigned long long)reads,
                    (unsigned long long)writes, (unsigned long long)cycle_);
        std::printf("read_busy %.4f\nwrite_busy %.4f\n", double(last_[1] - first_[1]) / cycles, double(last_[2] - first_[2]) / cycles);
        std::printf("read_front_wait %u\nwrite_front_wait %u\n", reads_.worst, writes_.worst);
        std::printf("read_port_wait %u\nwrite_port_wait %u\nw_wait %llu\n", read_port_.worst, write_port_.worst, (unsigned long long)w_wait_);
    }

    void edge() { top_.clk = 0, top_.eval(), top_.clk = 1, top_.eval(); }

    const char* mode_;
    uint64_t budget_;
    const std::array<unsigned, MASTERS> longest_;
    Random random_;
    std::vector<uint64_t> shadow_;
    VerilatedContext context_;
    Vnpu top_{&context_, "fabric"};
    std::vector<std::unique_ptr<Master>> masters_;
    std::unique_ptr<Memory> memory_;
    FrontWait reads_, writes_;
    PortWait read_port_, write_port_;
    uint64_t cycle_ = 0, redrawn_ = 0, w_since_ = 0, w_wait_ = 0;
    std::array<uint64_t, 3> first_{}, last_{};
};

}  // namespace scoreboard

int main(int argc, char** argv) {
    if (argc != 4 + int(scoreboard::MASTERS)) return 2;
    std::array<unsigned, scoreboard::MASTERS> longest;
    for (unsigned i = 0; i < scoreboard::MASTERS; i++) longest[i] = std::atoi(argv[4 + i]);
    try {
        scoreboard::Run(argv[1], std::atoi(argv[2]), std::atoll(argv[3]), longest).run();
    } catch (const weft::ProtocolError& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 3;
    }
    return 0;
}
