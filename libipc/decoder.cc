// SPDX-License-Identifier: Apache-2.0
//
// Builds message types from the descriptors that the broker has, each set in a
// pool of its own: two publishers may have different versions of one type.

#include "ipc/decoder.h"

#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/util/json_util.h"
#include "libipc/base/status_macros.h"

namespace ipc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::DynamicMessageFactory;
using google::protobuf::FileDescriptorSet;

// A type, alive as long as its pool and factory.
struct Type {
  DescriptorPool pool;
  DynamicMessageFactory factory{&pool};
  std::unique_ptr<google::protobuf::Message> message;
};

absl::StatusOr<std::unique_ptr<Type>> MakeType(const std::string& name,
                                               const std::string& schema) {
  FileDescriptorSet set;
  if (!set.ParseFromString(schema)) {
    return absl::DataLossError(
        absl::StrCat("the descriptors of ", name, " do not parse"));
  }
  auto type = std::make_unique<Type>();
  for (const google::protobuf::FileDescriptorProto& file : set.file()) {
    if (type->pool.BuildFile(file) == nullptr) {
      return absl::DataLossError(absl::StrCat(
          "the descriptors of ", name, " are inconsistent in ", file.name()));
    }
  }
  const Descriptor* descriptor = type->pool.FindMessageTypeByName(name);
  if (descriptor == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the publisher's descriptors lack the type ", name));
  }
  type->message.reset(type->factory.GetPrototype(descriptor)->New());
  return type;
}

}  // namespace

struct Decoder::State {
  Client* client;
  // By type name and hash.
  absl::flat_hash_map<std::string, std::unique_ptr<Type>> types;
};

Decoder::Decoder(Client* client) : state_(new State{client, {}}) {}
Decoder::~Decoder() = default;

absl::StatusOr<const google::protobuf::Message*> Decoder::Decode(
    const Message& message, absl::Duration timeout) {
  const Source& source = message.source();
  if (source.schema_hash.empty()) {
    return absl::NotFoundError(absl::StrCat("the publisher of ", source.topic,
                                            " has shared no descriptors"));
  }
  std::unique_ptr<Type>& type =
      state_->types[absl::StrCat(source.type_name, " ", source.schema_hash)];
  if (type == nullptr) {
    IPC_ASSIGN_OR_RETURN(std::string schema, state_->client->FetchSchema(
                                                 source.schema_hash, timeout));
    IPC_ASSIGN_OR_RETURN(type, MakeType(source.type_name, schema));
  }
  std::string_view payload = message.text();
  if (payload.size() > std::numeric_limits<int>::max() ||
      !type->message->ParseFromArray(payload.data(),
                                     static_cast<int>(payload.size()))) {
    return absl::DataLossError(
        absl::StrCat("message ", message.sequence(), " on ", source.topic,
                     " is not a valid ", source.type_name));
  }
  return type->message.get();
}

absl::StatusOr<std::string> Decoder::ToJson(const Message& message,
                                            absl::Duration timeout) {
  IPC_ASSIGN_OR_RETURN(const google::protobuf::Message* decoded,
                       Decode(message, timeout));
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  auto status =
      google::protobuf::util::MessageToJsonString(*decoded, &json, options);
  if (!status.ok()) {
    return absl::DataLossError(absl::StrCat(
        "message ", message.sequence(), " on ", message.source().topic,
        " has no JSON form: ", status.ToString()));
  }
  return json;
}

}  // namespace ipc
