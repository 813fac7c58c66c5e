// SPDX-License-Identifier: Apache-2.0
//
// One host in one line, for a person:
//
//   vm  cpu 12%  mem 1.2/23.5 GiB  disk r 0.1 w 2.3 MB/s  net ...  top g++ 99%
//
// Pure. A kind of which nothing has arrived is all zeros and left out.

#ifndef IPC_EXAMPLES_HOSTMON_VIEW_LINE_H_
#define IPC_EXAMPLES_HOSTMON_VIEW_LINE_H_

#include <string>
#include <tuple>

#include "examples/hostmon/hostmon.pb.h"

namespace hostmon {

// The latest message of each kind from one host.
using HostState =
    std::tuple<v1::Cpu, v1::Memory, v1::Disks, v1::Network, v1::Processes>;

// Without the end of line.
std::string ViewLine(const std::string& host, const HostState& state);

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_VIEW_LINE_H_
