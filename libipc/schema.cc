// SPDX-License-Identifier: Apache-2.0
//
// Collects files depth first.

#include "libipc/schema.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "libipc/base/limits.h"

namespace ipc {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorSet;

void Collect(const FileDescriptor* file,
             absl::flat_hash_set<const FileDescriptor*>* done,
             FileDescriptorSet* set) {
  if (!done->insert(file).second) return;
  for (int i = 0; i < file->dependency_count(); ++i) {
    Collect(file->dependency(i), done, set);
  }
  file->CopyTo(set->add_file());
}

}  // namespace

absl::StatusOr<std::string> SchemaOf(const google::protobuf::Descriptor& type) {
  FileDescriptorSet set;
  absl::flat_hash_set<const FileDescriptor*> done;
  Collect(type.file(), &done, &set);
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    set.SerializeToCodedStream(&output);
  }
  if (bytes.size() > kSchemaSetBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the descriptors of ", type.full_name(), " have ",
                     bytes.size(), " bytes; the limit is ", kSchemaSetBytesMax,
                     "; advertise with share_schema = false"));
  }
  return bytes;
}

}  // namespace ipc
