// A bench for simulators with four states, in plain Verilog: it runs the job files of sim/job.py on the Verilog that ships.
//
// Use: vvp BENCH +job=FILE +result=FILE. Operations and answers are those of sim/harness/job.h; there is no log of the output stage.
// All registers and memories of the NPU are unknown at power-on, and so is every byte of DDR that nobody wrote, and every input whose
// valid is low. The run ends with exit code 3 and one line on stderr at the first output that is unknown after reset.
`timescale 1ns / 1ps

module bench;
    parameter AXI_BITS = 64;
    parameter ADDRESS_BITS = 32;
    parameter ID_BITS = 1;
    parameter MAP_BITS = 8;
    parameter MEMORY = 1 << 20;
    localparam BEAT = AXI_BITS / 8;
    localparam DEPTH = 64;  // bursts that each direction of the memory can hold
    localparam STDERR = 32'h8000_0002;
    localparam BAD = 3, SILENT = 4, FAILED = 5;  // exit codes of sim/harness/runner.h
    localparam REGISTER_LIMIT = 10000;

    reg clk = 0, rst = 1;
    integer cycle = 0;
    always #5 clk = ~clk;

    // ---- ports of the NPU ----
    wire irq;
    wire [ID_BITS-1:0] awid, arid;
    wire [ADDRESS_BITS-1:0] awaddr, araddr;
    wire [7:0] awlen, arlen;
    wire [2:0] awsize, arsize;
    wire [1:0] awburst, arburst;
    wire awvalid, wvalid, wlast, bready, arvalid, rready;
    wire [AXI_BITS-1:0] wdata;
    wire [BEAT-1:0] wstrb;
    wire awready, wready, arready;
    reg bvalid = 0, rvalid = 0, rlast = 1'bx;
    reg [ID_BITS-1:0] bid = {ID_BITS{1'bx}}, rid = {ID_BITS{1'bx}};
    reg [1:0] bresp = 2'bxx, rresp = 2'bxx;
    reg [AXI_BITS-1:0] rdata = {AXI_BITS{1'bx}};
    reg [MAP_BITS-1:0] l_awaddr = {MAP_BITS{1'bx}}, l_araddr = {MAP_BITS{1'bx}};
    reg [31:0] l_wdata = 32'hx;
    reg [3:0] l_wstrb = 4'hx;
    reg l_awvalid = 0, l_wvalid = 0, l_bready = 0, l_arvalid = 0, l_rready = 0;
    wire l_awready, l_wready, l_bvalid, l_arready, l_rvalid;
    wire [1:0] l_bresp, l_rresp;
    wire [31:0] l_rdata;

    npu dut (
        .clk(clk), .rst(rst), .irq(irq),
        .m_axi_awid(awid), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awsize(awsize), .m_axi_awburst(awburst),
        .m_axi_awvalid(awvalid), .m_axi_awready(awready),
        .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid), .m_axi_wready(wready),
        .m_axi_bid(bid), .m_axi_bresp(bresp), .m_axi_bvalid(bvalid), .m_axi_bready(bready),
        .m_axi_arid(arid), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready),
        .m_axi_rid(rid), .m_axi_rdata(rdata), .m_axi_rresp(rresp), .m_axi_rlast(rlast), .m_axi_rvalid(rvalid), .m_axi_rready(rready),
        .s_axil_awaddr(l_awaddr), .s_axil_awprot(3'bxxx), .s_axil_awvalid(l_awvalid), .s_axil_awready(l_awready),
        .s_axil_wdata(l_wdata), .s_axil_wstrb(l_wstrb), .s_axil_wvalid(l_wvalid), .s_axil_wready(l_wready),
        .s_axil_bresp(l_bresp), .s_axil_bvalid(l_bvalid), .s_axil_bready(l_bready),
        .s_axil_araddr(l_araddr), .s_axil_arprot(3'bxxx), .s_axil_arvalid(l_arvalid), .s_axil_arready(l_arready),
        .s_axil_rdata(l_rdata), .s_axil_rresp(l_rresp), .s_axil_rvalid(l_rvalid), .s_axil_rready(l_rready)
    );

    task fail(input integer code, input [8*48-1:0] what);
        begin
            $fdisplay(STDERR, "cycle %0d: %0s", cycle, what);
            $finish_and_return(code);
        end
    endtask

    // ---- no output is unknown ----
    // Lanes of W without strobe hold what lies beside the row in the scratchpad, which may be unknown: Arm's protocol checker asks for
    // active lanes too (AXI4_ERRM_WDATA_X).
    reg [AXI_BITS-1:0] active;
    integer lane;
    always @* for (lane = 0; lane < BEAT; lane = lane + 1) active[8*lane +: 8] = wstrb[lane] === 1'b0 ? 8'h00 : wdata[8*lane +: 8];

    task known(input unknown, input [8*24-1:0] name);
        if (unknown) fail(BAD, {name, " is unknown"});
    endtask

    always @(posedge clk) if (!rst) begin
        known(^irq === 1'bx, "irq");
        known(^awvalid === 1'bx, "m_axi_awvalid");
        known(^wvalid === 1'bx, "m_axi_wvalid");
        known(^bready === 1'bx, "m_axi_bready");
        known(^arvalid === 1'bx, "m_axi_arvalid");
        known(^rready === 1'bx, "m_axi_rready");
        known(^l_awready === 1'bx, "s_axil_awready");
        known(^l_wready === 1'bx, "s_axil_wready");
        known(^l_bvalid === 1'bx, "s_axil_bvalid");
        known(^l_arready === 1'bx, "s_axil_arready");
        known(^l_rvalid === 1'bx, "s_axil_rvalid");
        known(^{awid, awaddr, awlen, awsize, awburst} === 1'bx, "payload of m_axi_aw");
        known(^{active, wstrb, wlast} === 1'bx, "payload of m_axi_w");
        known(^{arid, araddr, arlen, arsize, arburst} === 1'bx, "payload of m_axi_ar");
        known(^l_bresp === 1'bx, "s_axil_bresp");
        known(^{l_rdata, l_rresp} === 1'bx, "payload of s_axil_r");
    end

    // ---- memory: in order, reads and writes apart ----
    reg [7:0] memory [0:MEMORY-1];
    reg [31:0] read_latency, write_latency, outstanding, stall_ar, stall_r, stall_aw, stall_w, stall_b, error_reads, error_writes;
    reg [63:0] error_start, error_end;
    integer seed;
    reg ar_go = 0, aw_go = 0, w_go = 0;
    reg [ADDRESS_BITS-1:0] r_at [0:DEPTH-1], w_at [0:DEPTH-1];
    reg [7:0] r_len [0:DEPTH-1], w_len [0:DEPTH-1];
    reg [ID_BITS-1:0] r_id [0:DEPTH-1], w_id [0:DEPTH-1];
    integer r_due [0:DEPTH-1], b_due [0:DEPTH-1];
    integer r_head, r_tail, r_beat, w_head, w_tail, w_beat, b_head, i;  // responses follow the writes: b_head <= w_head <= w_tail

    assign arready = ar_go && r_tail - r_head < outstanding;
    assign awready = aw_go && w_tail - b_head < outstanding;
    assign wready = w_go && w_head != w_tail;

    function goes(input [31:0] stall);
        goes = stall == 0 || ($random(seed) & 32'hFFFF) >= stall;
    endfunction

    function [63:0] aligned(input [ADDRESS_BITS-1:0] address, input integer beat);
        aligned = (address / BEAT + beat) * BEAT;
    endfunction

    function [1:0] response(input [ADDRESS_BITS-1:0] address, input [7:0] len, input errors);
        if (aligned(address, len + 1) > MEMORY) response = 2'b11;
        else response = errors && aligned(address, 0) < error_end && aligned(address, len + 1) > error_start ? 2'b10 : 2'b00;
    endfunction

    task empty_memory_port;
        begin
            r_head = 0; r_tail = 0; r_beat = 0; w_head = 0; w_tail = 0; w_beat = 0; b_head = 0;
            rvalid <= 0; bvalid <= 0;
        end
    endtask

    always @(posedge clk) if (!rst) begin
        cycle <= cycle + 1;
        ar_go <= goes(stall_ar);
        aw_go <= goes(stall_aw);
        w_go <= goes(stall_w);
        if (wvalid && wready) begin
            if (wlast !== (w_beat == w_len[w_head % DEPTH])) fail(BAD, "WLAST is not at the last beat");
            for (i = 0; i < BEAT; i = i + 1) if (wstrb[i] && response(w_at[w_head % DEPTH], w_len[w_head % DEPTH], error_writes) == 0)
                memory[aligned(w_at[w_head % DEPTH], w_beat) + i] = wdata[8*i +: 8];
            w_beat = w_beat + 1;
            if (wlast) begin
                b_due[w_head % DEPTH] = cycle + write_latency;
                w_beat = 0;
                w_head = w_head + 1;
            end
        end
        if (awvalid && awready) begin
            w_at[w_tail % DEPTH] = awaddr; w_len[w_tail % DEPTH] = awlen; w_id[w_tail % DEPTH] = awid;
            w_tail = w_tail + 1;
        end
        if (bvalid && bready) begin
            bvalid <= 0; bid <= {ID_BITS{1'bx}}; bresp <= 2'bxx;
            b_head = b_head + 1;
        end
        if ((!bvalid || bready) && b_head != w_head && b_due[b_head % DEPTH] <= cycle && goes(stall_b)) begin
            bvalid <= 1; bid <= w_id[b_head % DEPTH];
            bresp <= response(w_at[b_head % DEPTH], w_len[b_head % DEPTH], error_writes);
        end
        if (rvalid && rready) begin
            rvalid <= 0; rid <= {ID_BITS{1'bx}}; rdata <= {AXI_BITS{1'bx}}; rresp <= 2'bxx; rlast <= 1'bx;
            r_beat = r_beat + 1;
            if (rlast) begin
                r_beat = 0;
                r_head = r_head + 1;
            end
        end
        if ((!rvalid || rready) && r_head != r_tail && r_due[r_head % DEPTH] <= cycle && goes(stall_r)) begin
            rvalid <= 1; rid <= r_id[r_head % DEPTH]; rlast <= r_beat == r_len[r_head % DEPTH];
            rresp <= response(r_at[r_head % DEPTH], r_len[r_head % DEPTH], error_reads);
            if (response(r_at[r_head % DEPTH], r_len[r_head % DEPTH], error_reads) == 0)
                for (i = 0; i < BEAT; i = i + 1) rdata[8*i +: 8] <= memory[aligned(r_at[r_head % DEPTH], r_beat) + i];
        end
        if (arvalid && arready) begin
            r_at[r_tail % DEPTH] = araddr; r_len[r_tail % DEPTH] = arlen; r_id[r_tail % DEPTH] = arid;
            r_due[r_tail % DEPTH] = cycle + read_latency;
            r_tail = r_tail + 1;
        end
    end

    // ---- the job ----
    localparam END = 0, RESET = 1, LOAD = 2, POKE = 3, PEEK = 4, WAIT = 5, DUMP = 6, STEP = 7, FILL = 8;
    integer job, result, operation, poked, since, n;
    reg [8*1024-1:0] path;
    reg [63:0] address, length, most, word;
    reg done;

    function [31:0] u32(input integer unused);
        integer place;
        begin
            u32 = 0;
            for (place = 0; place < 4; place = place + 1) u32 = u32 | (($fgetc(job) & 32'hFF) << 8 * place);
        end
    endfunction

    function [63:0] u64(input integer unused);
        begin
            u64 = u32(0);
            u64 = u64 | ({32'b0, u32(0)} << 32);
        end
    endfunction

    task put64(input [63:0] value);
        $fwrite(result, "%u%u", value[31:0], value[63:32]);
    endtask

    // The fields of sim/ddr.py in their order. Latencies do not vary, bandwidth is a beat a cycle each way, and the bus is never silent.
    task configure;
        begin
            read_latency = u32(0); write_latency = u32(0); word = u32(0); word = u32(0); outstanding = u32(0);
            stall_ar = u32(0); stall_r = u32(0); stall_aw = u32(0); stall_w = u32(0); stall_b = u32(0);
            seed = u32(0); error_reads = u32(0); error_writes = u32(0);
            error_start = u64(0); error_end = u64(0);
            if (u64(0) !== 64'hFFFF_FFFF_FFFF_FFFF) fail(FAILED, "a silent bus is not known here");
            if (outstanding > DEPTH) fail(FAILED, "too many bursts outstanding");
        end
    endtask

    task reset;
        begin
            configure;
            rst <= 1;
            empty_memory_port;
            repeat (8) @(posedge clk);
            rst <= 0;
            cycle <= 0;
            @(posedge clk);
        end
    endtask

    task poke;
        begin
            l_awaddr <= u32(0); l_wdata <= u32(0); l_wstrb <= 4'hF;
            l_awvalid <= 1; l_wvalid <= 1; l_bready <= 1;
            since = cycle;
            done = 0;
            while (!done) begin
                @(posedge clk);
                if (l_awvalid && l_awready) begin l_awvalid <= 0; l_awaddr <= {MAP_BITS{1'bx}}; poked = cycle; end
                if (l_wvalid && l_wready) begin l_wvalid <= 0; l_wdata <= 32'hx; l_wstrb <= 4'hx; poked = cycle; end
                done = l_bvalid;
                if (cycle - since > REGISTER_LIMIT) fail(SILENT, "no answer to a register write");
            end
            l_bready <= 0;
            @(posedge clk);
        end
    endtask

    task peek;
        begin
            l_araddr <= u32(0);
            l_arvalid <= 1; l_rready <= 1;
            since = cycle;
            done = 0;
            while (!done) begin
                @(posedge clk);
                if (l_arvalid && l_arready) begin l_arvalid <= 0; l_araddr <= {MAP_BITS{1'bx}}; end
                if (l_rvalid) begin $fwrite(result, "%u", l_rdata); done = 1; end
                if (cycle - since > REGISTER_LIMIT) fail(SILENT, "no answer to a register read");
            end
            l_rready <= 0;
            @(posedge clk);
        end
    endtask

    task wait_for_interrupt;
        begin
            most = u64(0);
            word = u32(0);  // what is logged
            @(posedge clk);
            while (!irq && cycle - poked < most) @(posedge clk);
            $fwrite(result, "%u", {31'b0, irq});
            put64(cycle - poked);
            repeat (3) put64(0);  // digest, writes, retires
        end
    endtask

    task range;
        begin
            address = u64(0);
            length = u64(0);
            if (address + length > MEMORY) fail(FAILED, "a range of the job file is outside memory");
        end
    endtask

    // A byte that nobody wrote is unknown to the NPU; in a dump it is the byte of the last fill.
    reg [7:0] filler;
    task fill;
        begin
            range;
            filler = u32(0);
            for (n = 0; n < length; n = n + 1) memory[address + n] = 8'hx;
        end
    endtask

    task execute;
        case (operation)
            RESET: reset;
            LOAD: begin
                range;
                for (n = 0; n < length; n = n + 1) memory[address + n] = $fgetc(job);
            end
            POKE: poke;
            PEEK: peek;
            WAIT: wait_for_interrupt;
            DUMP: begin
                range;
                for (n = 0; n < length; n = n + 1) $fwrite(result, "%c", ^memory[address + n] === 1'bx ? filler : memory[address + n]);
            end
            STEP: begin
                length = u64(0);
                for (n = 0; n < length; n = n + 1) @(posedge clk);
            end
            FILL: fill;
            default: fail(FAILED, "an operation that is not known here");
        endcase
    endtask

    initial if ($test$plusargs("waves")) $dumpvars;

    initial begin
        if (!$value$plusargs("job=%s", path)) fail(FAILED, "+job=FILE is missing");
        job = $fopen(path, "rb");
        if (!$value$plusargs("result=%s", path)) fail(FAILED, "+result=FILE is missing");
        result = $fopen(path, "wb");
        if (u64(0) > MEMORY) fail(FAILED, "the job's memory is larger than the bench's");
        word = u32(0);  // the seed of two-state simulators
        empty_memory_port;
        operation = u32(0);
        while (operation != END) begin
            execute;
            operation = u32(0);
        end
        $fclose(result);
        $finish_and_return(0);
    end
endmodule
