// SPDX-License-Identifier: Apache-2.0
//
// Promise 8: any message can be shown as JSON with no .proto at hand.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "gtest/gtest.h"
#include "ipc/decoder.h"
#include "tests/integration/bus.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

using google::protobuf::Descriptor;
using nlohmann::json;

Sample MakeSample() {
  Sample sample;
  sample.set_number(uint64_t{1} << 60);
  sample.set_text("gr\xc3\xbc\xc3\x9f\n");
  sample.set_data(std::string("\x00\xff", 2));
  sample.set_colour(COLOUR_GREEN);
  sample.add_points()->set_x(1.5);
  (*sample.mutable_counts())["a"] = -3;
  sample.mutable_age()->set_seconds(90);
  sample.set_amount(-7);
  return sample;
}

class SchemaTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    reader_ = Connect("reader");
    writer_ = Connect("writer");
    ASSERT_OK_AND_ASSIGN(subscription_, reader_->SubscribeRaw("**", Patient()));
  }
  Message Take() {
    absl::StatusOr<Message> message = subscription_.Next(kPatience);
    EXPECT_OK(message);
    return message.ok() ? *std::move(message) : Message();
  }

  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
  RawSubscription subscription_;
};

TEST_F(SchemaTest, AMessageIsShownAsJson) {
  ASSERT_OK_AND_ASSIGN(auto publisher, writer_->Advertise<Sample>("a/b"));
  ASSERT_OK(publisher.Publish(MakeSample()));
  const Message message = Take();
  Decoder decoder(reader_.get());
  ASSERT_OK_AND_ASSIGN(const std::string text,
                       decoder.ToJson(message, kPatience));
  EXPECT_EQ(text.find('\n'), text.npos);
  const json shown = json::parse(text, nullptr, false);
  const json expected = {{"number", "1152921504606846976"},
                         {"text", "gr\xc3\xbc\xc3\x9f\n"},
                         {"data", "AP8="},
                         {"colour", "COLOUR_GREEN"},
                         {"points", {{{"x", 1.5}}}},
                         {"counts", {{"a", -3}}},
                         {"age", "90s"},
                         {"amount", -7}};
  EXPECT_EQ(shown, expected) << text;
  ASSERT_OK_AND_ASSIGN(const google::protobuf::Message* decoded,
                       decoder.Decode(message, kPatience));
  EXPECT_EQ(decoded->GetTypeName(), "ipc.test.Sample");
  EXPECT_EQ(decoded->SerializeAsString(), std::string(message.text()));
}

TEST_F(SchemaTest, ASchemaIsKeptWhenItsPublisherIsGone) {
  ASSERT_OK_AND_ASSIGN(auto publisher, writer_->Advertise<Sample>("a/b"));
  ASSERT_OK(publisher.Publish(MakeSample()));
  const Message message = Take();
  ASSERT_OK(writer_->Flush(kPatience));
  writer_ = nullptr;
  ASSERT_TRUE(WaitUntil([&] {
    const auto clients = reader_->ListClients(kPatience);
    return clients.ok() && clients->size() == 1;
  }));
  Decoder decoder(reader_.get());
  EXPECT_OK(decoder.ToJson(message, kPatience));
  ASSERT_OK_AND_ASSIGN(
      const std::string schema,
      reader_->FetchSchema(message.source().schema_hash, kPatience));
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(schema));
  EXPECT_EQ(set.file_size(), 2);  // Sample imports a file
}

TEST_F(SchemaTest, ASchemaIsHandedToARestartedBroker) {
  ASSERT_OK_AND_ASSIGN(auto publisher, writer_->Advertise<Sample>("a/b"));
  broker_.Kill();
  broker_.Start();
  ASSERT_OK(publisher.Publish(MakeSample()));
  const Message message = Take();
  Decoder decoder(reader_.get());
  EXPECT_OK(decoder.ToJson(message, kPatience));
}

TEST_F(SchemaTest, WithoutDescriptorsAMessageCannotBeRead) {
  ASSERT_OK_AND_ASSIGN(RawPublisher raw, writer_->AdvertiseRaw("a/raw"));
  ASSERT_OK_AND_ASSIGN(
      auto unshared,
      writer_->Advertise<Sample>("a/unshared", {.share_schema = false}));
  Decoder decoder(reader_.get());
  ASSERT_OK(raw.Publish("bytes"));
  EXPECT_CODE(kNotFound, decoder.ToJson(Take(), kPatience));
  ASSERT_OK(unshared.Publish(MakeSample()));
  const Message message = Take();
  EXPECT_EQ(message.source().type_name, "ipc.test.Sample");
  EXPECT_CODE(kNotFound, decoder.ToJson(message, kPatience));
  EXPECT_CODE(kNotFound, reader_->FetchSchema(std::string(32, 'x'), kPatience));
  EXPECT_CODE(kInvalidArgument, reader_->FetchSchema("short", kPatience));
}

TEST_F(SchemaTest, APayloadThatIsNotOfItsTypeIsDataLoss) {
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher,
                       writer_->Advertise("a/b", *Sample::descriptor()));
  ASSERT_OK(publisher.Publish("\xff\xff\xff"));
  Decoder decoder(reader_.get());
  EXPECT_CODE(kDataLoss, decoder.ToJson(Take(), kPatience));
}

TEST_F(SchemaTest, ADynamicMessageIsPublishedByItsDescriptor) {
  // As a program would that has the descriptors from a file.
  google::protobuf::DescriptorPool pool;
  google::protobuf::FileDescriptorProto file;
  Other::descriptor()->file()->dependency(0)->CopyTo(&file);
  ASSERT_NE(pool.BuildFile(file), nullptr);
  file.Clear();
  Other::descriptor()->file()->CopyTo(&file);
  ASSERT_NE(pool.BuildFile(file), nullptr);
  const Descriptor* type = pool.FindMessageTypeByName("ipc.test.Other");
  ASSERT_NE(type, nullptr);
  google::protobuf::DynamicMessageFactory factory(&pool);
  std::unique_ptr<google::protobuf::Message> message(
      factory.GetPrototype(type)->New());
  message->GetReflection()->SetString(message.get(),
                                      type->FindFieldByName("name"), "dyn");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher,
                       writer_->Advertise("a/b", *type));
  ASSERT_OK(publisher.Publish(*message));
  const Message received = Take();
  EXPECT_EQ(received.source().type_name, "ipc.test.Other");
  Other other;
  ASSERT_TRUE(other.ParseFromString(std::string(received.text())));
  EXPECT_EQ(other.name(), "dyn");
  Decoder decoder(reader_.get());
  EXPECT_EQ(*decoder.ToJson(received, kPatience), R"({"name":"dyn"})");
}

TEST_F(SchemaTest, TwoTypesAreToldApart) {
  ASSERT_OK_AND_ASSIGN(auto samples, writer_->Advertise<Sample>("a/sample"));
  ASSERT_OK_AND_ASSIGN(auto others, writer_->Advertise<Other>("a/other"));
  Other other;
  other.set_name("x");
  Sample sample;
  sample.set_text("y");
  Decoder decoder(reader_.get());
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(others.Publish(other));
    ASSERT_OK(samples.Publish(sample));
    EXPECT_EQ(*decoder.ToJson(Take(), kPatience), R"({"name":"x"})");
    EXPECT_EQ(*decoder.ToJson(Take(), kPatience), R"({"text":"y"})");
  }
  ASSERT_OK_AND_ASSIGN(const auto topics, reader_->ListTopics(kPatience));
  ASSERT_EQ(topics.size(), 2u);
  EXPECT_EQ(topics[0].type_name, "ipc.test.Other");
  EXPECT_EQ(topics[1].type_name, "ipc.test.Sample");
}

}  // namespace
}  // namespace ipc::test
