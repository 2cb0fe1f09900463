// The job file: operations in a row, each a tag and its arguments; the result file: their answers in the same order.
// sim/job.py writes the one and reads the other. Numbers are little-endian.
#pragma once
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace weft {

enum class Op : uint32_t {
    END = 0,     // -
    RESET = 1,   // DdrConfig, for a SoC DramConfig and u64 cycles of a time bin: reset and set DDR
    LOAD = 2,    // u64 address, u64 length, bytes: write memory
    POKE = 3,    // u32 offset, u32 value: write a register
    PEEK = 4,    // u32 offset -> u32 value: read a register
    WAIT = 5,    // u64 cycles, u32 Log -> u32 interrupt, u64 cycles since the last POKE, u64 digest, u64 writes, WriteEvent[], u64 retires, RetireEvent[]
    DUMP = 6,    // u64 address, u64 length -> bytes: read memory
    STEP = 7,    // u64 cycles: run
    FILL = 8,    // u64 address, u64 length, u32 byte: write memory
    TUNE = 9,    // DdrConfig: set DDR while the NPU runs on; a silent bus answers what it owes; not for a SoC
    STATISTICS = 10,  // for a SoC -> what SocBench::report writes
    LOOP = 11,   // for a SoC: u32 pictures: what follows up to AGAIN is done until camera and display have made so many since reset
    AGAIN = 12,  // for a SoC -> u32: it is done again
};

// What is kept of the output stage's writes during a WAIT: their digest comes with both others.
enum class Log : uint32_t { NONE = 0, FULL = 1, DIGEST = 2 };

class File {
public:
    File(const char* path, const char* mode) : file_(std::fopen(path, mode)) {
        if (!file_) throw std::runtime_error(std::string("cannot open ") + path);
    }
    ~File() { std::fclose(file_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void read(void* to, size_t bytes) {
        if (bytes && std::fread(to, bytes, 1, file_) != 1) throw std::runtime_error("the job file ends too early");
    }
    void write(const void* from, size_t bytes) {
        if (bytes && std::fwrite(from, bytes, 1, file_) != 1) throw std::runtime_error("cannot write the result file");
    }
    long position() { return std::ftell(file_); }
    void go_back(long position) {
        if (std::fseek(file_, position, SEEK_SET)) throw std::runtime_error("cannot go back in the job file");
    }
    template <class T> T get() {
        T value;
        read(&value, sizeof value);
        return value;
    }
    template <class T> void put(const T& value) { write(&value, sizeof value); }
    template <class T> void put_all(const std::vector<T>& values) {
        put(uint64_t(values.size()));
        write(values.data(), values.size() * sizeof(T));
    }

private:
    std::FILE* file_;
};

}  // namespace weft
