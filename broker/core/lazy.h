// SPDX-License-Identifier: Apache-2.0
//
// A part that most objects do not have: it is made when something is written to
// it. Reading what was not made reads a default, which all share.

#ifndef IPC_BROKER_CORE_LAZY_H_
#define IPC_BROKER_CORE_LAZY_H_

#include <memory>

namespace ipc::broker {

template <typename Part>
class Lazy {
 public:
  const Part& operator*() const { return made_ ? *made_ : Default(); }
  const Part* operator->() const { return &**this; }
  // To write to it.
  Part& Edit() {
    if (!made_) made_ = std::make_unique<Part>();
    return *made_;
  }
  // It is as if it had not been made.
  void Reset() { made_.reset(); }
  bool made() const { return made_ != nullptr; }

 private:
  static const Part& Default() {
    static const Part kDefault;
    return kDefault;
  }

  std::unique_ptr<Part> made_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_LAZY_H_
