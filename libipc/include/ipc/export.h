// SPDX-License-Identifier: Apache-2.0
//
// IPC_EXPORT marks what libipc.so shows to its users; everything else in the
// library is hidden.

#ifndef IPC_LIBIPC_INCLUDE_IPC_EXPORT_H_
#define IPC_LIBIPC_INCLUDE_IPC_EXPORT_H_

#define IPC_EXPORT __attribute__((visibility("default")))

#endif  // IPC_LIBIPC_INCLUDE_IPC_EXPORT_H_
