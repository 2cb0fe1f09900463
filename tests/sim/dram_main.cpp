// Drives class Dram for tests/sim/test_dram.py:  dram_main CONFIG LIMITS MEMORY_BYTES BEAT_BYTES MODE ...
//   script FILE            transactions of a file, "cycle R|W address len id qos" a line; prints commands, transactions, statistics
//   random SEED CYCLES KIB random traffic within so much memory: data against a plain memory, commands against the data sheet's rules
//   speed CYCLES EVERY     cycles a second of CPU time, with a burst every so many cycles
// Exit code 1: something is wrong; the message is on stdout.
#include <ctime>
#include <cstring>
#include <fstream>
#include <iostream>

#include "dram_random.h"

namespace {

using namespace weft;

struct Request {
    uint64_t cycle, accepted, first, last;
    char way;
    Address address;
    unsigned qos, beats, resp;
};

void print_statistics(const Dram& dram) {
    const DramStatistics s = dram.statistics();
    std::cout << "S clocks " << s.clocks << " busy " << s.busy << " pending " << s.pending << " reads " << s.reads << " writes " << s.writes
              << " masked " << s.masked << " hits " << s.hits << " misses " << s.misses << " conflicts " << s.conflicts << " activates "
              << s.activates << " precharges " << s.precharges << " refreshes " << s.refreshes << " turnarounds " << s.turnarounds << "\n";
    for (unsigned m = 0; m < Dram::MASTERS; m++)
        if (dram.total().read[m] || dram.total().written[m])
            std::cout << "M " << m << " " << dram.total().read[m] << " " << dram.total().written[m] << "\n";
    for (size_t b = 0; b < dram.bins().size(); b++)
        for (unsigned m = 0; m < Dram::MASTERS; m++)
            if (dram.bins()[b].read[m] || dram.bins()[b].written[m])
                std::cout << "B " << b << " " << m << " " << dram.bins()[b].read[m] << " " << dram.bins()[b].written[m] << "\n";
}

// Every request at its cycle or as soon as the port takes it, in order for each direction; R, W and B never wait.
void script(Dram& dram, DramChecker& checker, unsigned beat_bytes, const char* path) {
    std::vector<Request> all;
    std::ifstream file(path);
    for (Request r{}; file >> r.cycle >> r.way >> std::hex >> r.address.addr >> std::dec >> r.address.len >> r.address.id >> r.qos;) {
        r.address.size = std::countr_zero(beat_bytes), r.address.burst = 1;
        all.push_back(r);
    }
    std::vector<size_t> next[2], answered[2];  // indices by direction: to issue; accepted and not done
    for (size_t i = 0; i < all.size(); i++) next[all[i].way == 'W'].push_back(i);
    for (auto& list : next) std::reverse(list.begin(), list.end());
    std::vector<DramCommand> log;
    dram.log_to(&log);
    const std::vector<uint8_t> data(beat_bytes, 0x5A), strobe(beat_bytes / 8 + 1, 0xFF);
    size_t done = 0;
    while (done < all.size() || dram.outstanding()) {
        const uint64_t now = dram.cycle();
        if (now > 50'000'000) throw std::runtime_error("no end");
        dram.offer();
        const bool r = dram.r_valid(), b = dram.b_valid(), w = dram.w_ready();
        const auto finish = [&](int way, unsigned id) {
            auto& list = answered[way];
            auto it = std::find_if(list.begin(), list.end(), [&](size_t i) { return all[i].address.id == id; });
            if (it == list.end()) throw std::runtime_error("an answer to nothing");
            return it;
        };
        if (r) {
            const ReadBeat beat = dram.read_beat();
            const auto it = finish(0, beat.id);
            Request& request = all[*it];
            if (request.beats++ == 0) request.first = now, request.resp = beat.resp;
            if (beat.last) request.last = now, answered[0].erase(it), done++;
            dram.take_r();
        }
        if (b) {
            const auto it = finish(1, dram.b_id());
            all[*it].last = now, all[*it].resp = dram.b_resp(), answered[1].erase(it), done++;
            dram.take_b();
        }
        if (w) dram.accept_w({data.data(), strobe.data(), dram.writing_beat() == dram.writing().len});
        for (int way = 0; way < 2; way++)
            if (!next[way].empty() && all[next[way].back()].cycle <= now && (way ? dram.aw_ready() : dram.ar_ready())) {
                Request& request = all[next[way].back()];
                request.accepted = now;
                way ? dram.accept_aw(request.address, request.qos) : dram.accept_ar(request.address, request.qos);
                answered[way].push_back(next[way].back());
                next[way].pop_back();
            }
        dram.tick();
    }
    for (const DramCommand& c : log) {
        checker.check(c);
        std::cout << "C " << c.clock << " " << int(c.op) << " " << c.bank << " " << c.row << " " << c.column << "\n";
    }
    for (const Request& r : all) std::cout << "T " << r.accepted << " " << r.first << " " << r.last << " " << r.resp << "\n";
}

// One read burst of 256 bytes every so many cycles, every third one a write, somewhere.
void speed(Dram& dram, unsigned beat_bytes, size_t memory, uint64_t cycles, uint64_t every) {
    const std::vector<uint8_t> data(beat_bytes, 1), strobe(beat_bytes / 8 + 1, 0xFF);
    Random random(1);
    const std::clock_t begin = std::clock();
    for (uint64_t n = 0; n < cycles; n++) {
        dram.offer();
        if (dram.r_valid()) dram.take_r();
        if (dram.b_valid()) dram.take_b();
        if (dram.w_ready()) dram.accept_w({data.data(), strobe.data(), dram.writing_beat() == dram.writing().len});
        if (every && n % every == 0) {
            const Address a{random.next() % memory / 256 * 256, unsigned(random.next() % 16), 256 / beat_bytes - 1, unsigned(std::countr_zero(beat_bytes)), 1};
            if (n / every % 3 == 2) {
                if (dram.aw_ready()) dram.accept_aw(a, 4);
            } else if (dram.ar_ready()) dram.accept_ar(a, 4);
        }
        dram.tick();
    }
    const double took = double(std::clock() - begin) / CLOCKS_PER_SEC;
    std::cout << "V " << uint64_t(double(cycles) / took) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return std::fprintf(stderr, "use: dram_main CONFIG LIMITS MEMORY_BYTES BEAT_BYTES MODE ...\n"), 2;
    try {
        DramConfig config;
        std::ifstream file(argv[1], std::ios::binary);
        if (!file.read(reinterpret_cast<char*>(&config), sizeof config) || file.peek() != EOF) throw std::runtime_error("the configuration has another size");
        DramChecker checker(argv[2]);
        std::vector<uint8_t> memory(std::stoull(argv[3]));
        const unsigned beat_bytes = std::stoul(argv[4]);
        const std::string mode = argv[5];
        Dram dram(beat_bytes, memory);
        dram.configure(config, 1000);
        if (mode == "script") script(dram, checker, beat_bytes, argv[6]);
        else if (mode == "random") RandomTraffic(dram, checker, memory, beat_bytes, config, std::stoul(argv[6]), std::stoull(argv[8]) * 1024).run(std::stoull(argv[7]));
        else if (mode == "speed") speed(dram, beat_bytes, memory.size(), std::stoull(argv[6]), std::stoull(argv[7]));
        else throw std::runtime_error("unknown mode");
        print_statistics(dram);
        return 0;
    } catch (const std::exception& error) {
        std::cout << error.what() << "\n";
        return 1;
    }
}
