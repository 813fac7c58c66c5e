// SPDX-License-Identifier: Apache-2.0
//
// What hostmon makes of /proc: the parsing of each file, with real text, short
// text and nonsense; the shares and rates made of two readings; and one sample
// of the machine the test runs on.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "examples/hostmon/fields.h"
#include "examples/hostmon/messages.h"
#include "examples/hostmon/proc_parse.h"
#include "examples/hostmon/sampler.h"
#include "examples/hostmon/topics.h"
#include "gtest/gtest.h"

namespace hostmon {
namespace {

constexpr std::string_view kStat =
    "cpu  100 10 40 800 5 3 2 7 50 0\n"
    "cpu0 60 5 20 400 2 1 1 3 25 0\n"
    "cpu11 40 5 20 400 3 2 1 4 25 0\n"
    "intr 118172 0 0 14\n"
    "ctxt 246437\n";

constexpr std::string_view kMeminfo =
    "MemTotal:       24684084 kB\n"
    "MemFree:        24465652 kB\n"
    "MemAvailable:   24389356 kB\n"
    "Buffers:            1004 kB\n"
    "Cached:            46792 kB\n"
    "SwapCached:            7 kB\n"
    "SwapTotal:          2048 kB\n"
    "SwapFree:           1024 kB\n"
    "HugePages_Total:       0\n";

constexpr std::string_view kDiskstats =
    "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    " 259       0 nvme0n1 100 64 2000 51 27 52 400 21 0 34 75 3 2 9 2 3 1\n"
    " 259       1 nvme0n1p1 90 64 1900 51 27 52 400 21 0 34 75 3 2 9 2 3 1\n"
    " 253       1 dm-1 5 0 10 1 6 0 12 1 0 2 3\n"
    " 253      10 dm-10 7 0 14 1 8 0 16 1 0 2 3\n";

constexpr std::string_view kNetDev =
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes "
    "   packets errs drop fifo colls carrier compressed\n"
    "    lo:    3267      29    0    0    0     0          0         0     3267"
    "      29    0    0    0     0       0          0\n"
    "  eth0:1000 444 1 2 0 0 0 0 2000 337 3 4 0 0 0 0\n";

constexpr std::string_view kPidStat =
    "3611 (cat) R 3599 3599 2647 0 -1 4194304 100 0 0 0 21 12 0 0 20 0 1 0 "
    "117391 3133440 412 18446744073709551615 94887613214720 0 0 0\n";

TEST(FieldsTest, LinesEndAtTheEndOfTheTextToo) {
  std::string_view text = "a\n\nb";
  EXPECT_EQ(TakeLine(&text), "a");
  EXPECT_EQ(TakeLine(&text), "");
  EXPECT_EQ(TakeLine(&text), "b");
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(TakeLine(&text), "");
}

TEST(FieldsTest, FieldsAreSplitAtBlanksAndThenEmptyForEver) {
  std::string_view line = " \ta  b ";
  EXPECT_EQ(TakeField(&line), "a");
  EXPECT_EQ(TakeField(&line), "b");
  EXPECT_EQ(TakeField(&line), "");
  EXPECT_EQ(TakeField(&line), "");
}

TEST(FieldsTest, OnlyAWholeDecimalNumberThatFitsIsANumber) {
  EXPECT_EQ(ParseNumber("18446744073709551615"),
            std::numeric_limits<uint64_t>::max());
  for (const std::string_view odd :
       {"", "-1", "+1", "1x", "x1", "0x10", "1.5", "18446744073709551616"}) {
    EXPECT_EQ(ParseNumber(odd), std::nullopt) << odd;
  }
}

TEST(FieldsTest, PrintableLeavesNothingThatUtf8WouldMind) {
  EXPECT_EQ(Printable("ok (x)"), "ok (x)");
  EXPECT_EQ(Printable("\xc3(\n\x7f\xff"), "?(???");
}

TEST(ParseStatTest, ReadsAllCoresAndEachByItsOwnId) {
  const CpuReading cpu = ParseStat(kStat);
  EXPECT_EQ(cpu.all.user, 110u);
  EXPECT_EQ(cpu.all.system, 45u);
  EXPECT_EQ(cpu.all.idle, 800u);
  EXPECT_EQ(cpu.all.iowait, 5u);
  EXPECT_EQ(cpu.all.steal, 7u);
  ASSERT_EQ(cpu.cores.size(), 2u);
  EXPECT_EQ(cpu.cores[0].id, 0u);
  EXPECT_EQ(cpu.cores[1].id, 11u);
  EXPECT_EQ(cpu.cores[1].ticks.user, 45u);
}

TEST(ParseStatTest, MissingFiguresAreZeroAndOddLinesAreLeftOut) {
  const CpuReading cpu = ParseStat(
      "cpu 1 2 x\ncpuidle 1 2 3\ncpu99999999999 1 2 3\ncpu-1 1\ncpu3");
  EXPECT_EQ(cpu.all.user, 3u);
  EXPECT_EQ(cpu.all.system, 0u);
  ASSERT_EQ(cpu.cores.size(), 1u);
  EXPECT_EQ(cpu.cores[0].id, 3u);
  EXPECT_EQ(cpu.cores[0].ticks.user, 0u);
}

TEST(ParseMeminfoTest, TurnsKibibytesIntoBytes) {
  const MemoryReading memory = ParseMeminfo(kMeminfo);
  EXPECT_EQ(memory.total_bytes, uint64_t{24684084} * 1024);
  EXPECT_EQ(memory.free_bytes, uint64_t{24465652} * 1024);
  EXPECT_EQ(memory.available_bytes, uint64_t{24389356} * 1024);
  EXPECT_EQ(memory.cached_bytes, uint64_t{46792} * 1024);
  EXPECT_EQ(memory.swap_total_bytes, uint64_t{2048} * 1024);
  EXPECT_EQ(memory.swap_free_bytes, uint64_t{1024} * 1024);
}

TEST(ParseDiskstatsTest, TellsWholeDisksThatWereUsed) {
  const std::vector<DiskReading> disks = ParseDiskstats(kDiskstats);
  ASSERT_EQ(disks.size(), 3u);
  EXPECT_EQ(disks[0].name, "nvme0n1");
  EXPECT_EQ(disks[0].reads, 100u);
  EXPECT_EQ(disks[0].read_bytes, 2000u * 512);
  EXPECT_EQ(disks[0].writes, 27u);
  EXPECT_EQ(disks[0].written_bytes, 400u * 512);
  EXPECT_EQ(disks[0].busy_milliseconds, 34u);
  EXPECT_EQ(disks[1].name, "dm-1");
  EXPECT_EQ(disks[2].name, "dm-10");
}

TEST(IsPartitionOfTest, FollowsTheKernelsNames) {
  EXPECT_TRUE(IsPartitionOf("sda1", "sda"));
  EXPECT_TRUE(IsPartitionOf("vda12", "vda"));
  EXPECT_TRUE(IsPartitionOf("nvme0n1p2", "nvme0n1"));
  EXPECT_FALSE(IsPartitionOf("sda", "sda"));
  EXPECT_FALSE(IsPartitionOf("sdaa", "sda"));
  EXPECT_FALSE(IsPartitionOf("dm-10", "dm-1"));
  EXPECT_FALSE(IsPartitionOf("nvme0n1p", "nvme0n1"));
  EXPECT_FALSE(IsPartitionOf("sdb1", "sda"));
  EXPECT_FALSE(IsPartitionOf("1", ""));
}

TEST(ParseNetDevTest, ReadsBothDirectionsWithAndWithoutABlank) {
  const std::vector<InterfaceReading> interfaces = ParseNetDev(kNetDev);
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_EQ(interfaces[0].name, "lo");
  EXPECT_EQ(interfaces[0].received_bytes, 3267u);
  EXPECT_EQ(interfaces[1].name, "eth0");
  EXPECT_EQ(interfaces[1].received_bytes, 1000u);
  EXPECT_EQ(interfaces[1].received_packets, 444u);
  EXPECT_EQ(interfaces[1].sent_bytes, 2000u);
  EXPECT_EQ(interfaces[1].sent_packets, 337u);
  EXPECT_EQ(interfaces[1].errors, 4u);
  EXPECT_EQ(interfaces[1].dropped, 6u);
}

TEST(ParsePidStatTest, ReadsTimesAndMemory) {
  const std::optional<ProcessReading> process = ParsePidStat(kPidStat);
  ASSERT_TRUE(process.has_value());
  EXPECT_EQ(process->pid, 3611);
  EXPECT_EQ(process->name, "cat");
  EXPECT_EQ(process->cpu_ticks, 33u);
  EXPECT_EQ(process->start_ticks, 117391u);
  EXPECT_EQ(process->resident_pages, 412u);
}

TEST(ParsePidStatTest, ANameMayHoldAnything) {
  std::string text(kPidStat);
  text.replace(text.find("cat"), 3, "a) R (b\n) 1");
  const std::optional<ProcessReading> process = ParsePidStat(text);
  ASSERT_TRUE(process.has_value());
  EXPECT_EQ(process->name, "a) R (b\n) 1");
  EXPECT_EQ(process->cpu_ticks, 33u);
}

TEST(ParsePidStatTest, AnIncompleteLineIsNoProcess) {
  const size_t resident_at = kPidStat.find(" 412");
  for (size_t size = 0; size <= resident_at; ++size) {
    EXPECT_EQ(ParsePidStat(kPidStat.substr(0, size)), std::nullopt) << size;
  }
  EXPECT_EQ(ParsePidStat(")("), std::nullopt);
  EXPECT_EQ(ParsePidStat("-1 (a) R 1"), std::nullopt);
  EXPECT_EQ(ParsePidStat("99999999999 (a) R 1"), std::nullopt);
}

// Every parser, on any text; what comes out does not matter.
void ParseEverything(std::string_view text) {
  ParseStat(text);
  ParseMeminfo(text);
  ParseDiskstats(text);
  ParseNetDev(text);
  ParsePidStat(text);
}

TEST(ParseTest, EveryParserTakesEveryPartOfEveryFile) {
  for (const std::string_view text :
       {kStat, kMeminfo, kDiskstats, kNetDev, kPidStat}) {
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      // A copy of exactly this size, so that a sanitizer sees a read beyond.
      ParseEverything(std::string(text.substr(0, cut)));
      ParseEverything(std::string(text.substr(cut)));
    }
  }
}

TEST(ParseTest, EveryParserTakesNonsense) {
  for (const std::string_view text :
       {std::string_view("\0\0\n\0", 4), std::string_view("\n\n\n"),
        std::string_view(":"), std::string_view(":::\n ::"),
        std::string_view("cpu"), std::string_view("\xff\xfe(\x80)"),
        std::string_view("MemTotal:\nMemTotal: -5 kB")}) {
    ParseEverything(text);
  }
}

TEST(MakeCpuTest, SharesAreOfTheTicksThatHavePassed) {
  CpuReading before;
  before.cores.push_back({7, {}});
  CpuReading now;
  now.all = {.user = 20, .system = 10, .idle = 50, .iowait = 10, .steal = 10};
  now.cores.push_back({7, {.user = 1, .idle = 3}});
  const v1::Cpu cpu = MakeCpu(before, now, absl::Milliseconds(500));
  EXPECT_DOUBLE_EQ(cpu.interval_seconds(), 0.5);
  EXPECT_DOUBLE_EQ(cpu.busy_percent(), 40);
  EXPECT_DOUBLE_EQ(cpu.user_percent(), 20);
  EXPECT_DOUBLE_EQ(cpu.system_percent(), 10);
  EXPECT_DOUBLE_EQ(cpu.iowait_percent(), 10);
  ASSERT_EQ(cpu.cores_size(), 1);
  EXPECT_EQ(cpu.cores(0).id(), 7u);
  EXPECT_DOUBLE_EQ(cpu.cores(0).busy_percent(), 25);
}

TEST(MakeCpuTest, NothingPassedIsNothingBusy) {
  const CpuReading reading = ParseStat(kStat);
  EXPECT_EQ(MakeCpu(reading, reading, absl::ZeroDuration()).busy_percent(), 0);
  EXPECT_EQ(MakeCpu({}, {}, absl::ZeroDuration()).cores_size(), 0);
}

TEST(MakeDisksTest, RatesAreForEachSecond) {
  const std::vector<DiskReading> before = {{"sda", 10, 20, 512, 1024, 100}};
  const std::vector<DiskReading> now = {{"sda", 15, 21, 1024, 1024, 150},
                                        {"sdb", 1, 0, 512, 0, 0}};
  const v1::Disks disks = MakeDisks(before, now, absl::Milliseconds(100));
  ASSERT_EQ(disks.disks_size(), 2);
  EXPECT_DOUBLE_EQ(disks.disks(0).reads_per_second(), 50);
  EXPECT_DOUBLE_EQ(disks.disks(0).writes_per_second(), 10);
  EXPECT_DOUBLE_EQ(disks.disks(0).read_bytes_per_second(), 5120);
  EXPECT_DOUBLE_EQ(disks.disks(0).written_bytes_per_second(), 0);
  EXPECT_DOUBLE_EQ(disks.disks(0).busy_percent(), 50);
  EXPECT_EQ(disks.disks(1).name(), "sdb");
}

TEST(MakeNetworkTest, ACounterThatWentBackHasNotMoved) {
  const std::vector<InterfaceReading> before = {{"eth0", 500, 5, 9, 9, 1, 1}};
  const std::vector<InterfaceReading> now = {{"eth0", 100, 6, 10, 9, 2, 3}};
  const v1::Network network = MakeNetwork(before, now, absl::Seconds(1));
  ASSERT_EQ(network.interfaces_size(), 1);
  EXPECT_EQ(network.interfaces(0).received_bytes_per_second(), 0);
  EXPECT_EQ(network.interfaces(0).received_packets_per_second(), 1);
  EXPECT_EQ(network.interfaces(0).errors(), 2u);
  EXPECT_EQ(network.interfaces(0).dropped(), 3u);
}

TEST(MakeProcessesTest, TellsTheBusiestThenTheLargest) {
  const ProcessTable before = {{1, {1, "init", 50, 1, 10}},
                               {2, {2, "old", 90, 5, 10}}};
  const ProcessTable now = {{1, {1, "init", 50, 1, 10}},
                            {2, {2, "new\xff", 10, 77, 20}},  // the id again
                            {3, {3, "large", 0, 9, 99}},
                            {4, {4, "small", 0, 9, 5}}};
  ProcessOptions options;
  options.top = 3;
  const v1::Processes processes =
      MakeProcesses(before, now, absl::Milliseconds(100), options);
  EXPECT_EQ(processes.total(), 4u);
  ASSERT_EQ(processes.top_size(), 3);
  EXPECT_EQ(processes.top(0).name(), "new?");
  EXPECT_DOUBLE_EQ(processes.top(0).cpu_percent(), 100);
  EXPECT_EQ(processes.top(1).name(), "large");
  EXPECT_EQ(processes.top(1).resident_bytes(), 99u * 4096);
  EXPECT_EQ(processes.top(2).name(), "init");
}

TEST(MakeProcessesTest, WithoutElapsedTimeNothingIsDividedByZero) {
  const ProcessTable now = {{1, {1, "init", 50, 1, 10}}};
  const v1::Processes processes =
      MakeProcesses({}, now, absl::ZeroDuration(), {});
  ASSERT_EQ(processes.top_size(), 1);
  EXPECT_EQ(processes.top(0).cpu_percent(), 0);
}

TEST(TopicsTest, AHostNameBecomesOneSegment) {
  EXPECT_EQ(HostSegment("web-1.example_2"), "web-1.example_2");
  EXPECT_EQ(HostSegment("my host/\xc3\xa4*"), "my-host----");
  EXPECT_EQ(HostSegment(""), "unknown");
  EXPECT_EQ(HostSegment(std::string(500, 'a')), std::string(64, 'a'));
}

TEST(TopicsTest, TheHostIsFoundInItsTopic) {
  EXPECT_EQ(TopicOf<v1::Disks>("vm"), "host/vm/disks");
  EXPECT_EQ(HostOf("host/vm/disks"), "vm");
  EXPECT_EQ(HostOf("host/vm"), "");
  EXPECT_EQ(HostOf("guest/vm/disks"), "");
  EXPECT_EQ(HostOf(""), "");
}

TEST(SamplerTest, SamplesThisMachine) {
  Sampler sampler({.top = 5});
  const Sample sample = sampler.Take();
  EXPECT_GT(sample.cpu.cores_size(), 0);
  EXPECT_GE(sample.cpu.busy_percent(), 0);
  EXPECT_LE(sample.cpu.busy_percent(), 100);
  EXPECT_GT(sample.memory.total_bytes(), sample.memory.free_bytes());
  EXPECT_GT(sample.processes.total(), 0u);
  EXPECT_GT(sample.processes.top_size(), 0);
  EXPECT_LE(sample.processes.top_size(), 5);
  EXPECT_GT(sample.cpu.interval_seconds(), 0);
}

TEST(SamplerTest, AFolderThatIsNotThereGivesEmptyMessages) {
  Sampler sampler({.proc = "/nonexistent/proc"});
  const Sample sample = sampler.Take();
  EXPECT_EQ(sample.cpu.cores_size(), 0);
  EXPECT_EQ(sample.memory.total_bytes(), 0u);
  EXPECT_EQ(sample.processes.total(), 0u);
}

}  // namespace
}  // namespace hostmon
