// SPDX-License-Identifier: Apache-2.0
//
// The codec of the control messages. For every message: what is encoded comes
// back equal, with all fields set and with as few as may be; no field is
// forgotten; nothing that a peer can send does more than be refused. The
// bytes of a bad message are made by changing a good one as protobuf.

#include "libipc/wire/control.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "ipc/v1/control.pb.h"
#include "libipc/wire/sha256.h"
#include "tests/support/control_fields.h"
#include "tests/support/control_samples.h"
#include "tests/support/seed.h"

namespace ipc::wire {
namespace {

namespace pb = ::ipc::v1;

using google::protobuf::FieldDescriptor;
using google::protobuf::LogSilencer;
using test::Same;
using test::Sample;

// -- The protobuf type of each message --

// Never called; overload resolution alone is wanted.
struct ProtoType {
  static pb::Hello Of(const Hello&);
  static pb::Welcome Of(const Welcome&);
  static pb::Goodbye Of(const Goodbye&);
  static pb::Result Of(const Result&);
  static pb::Open Of(const Open&);
  static pb::Opened Of(const Opened&);
  static pb::Subscribe Of(const Subscribe&);
  static pb::Announce Of(const Announce&);
  static pb::Join Of(const Join&);
  static pb::Resend Of(const Resend&);
  static pb::Schema Of(const Schema&);
  static pb::GetSchema Of(const GetSchema&);
  static pb::ListTopics Of(const ListTopics&);
  static pb::Topics Of(const Topics&);
  static pb::ListClients Of(const ListClients&);
  static pb::Clients Of(const Clients&);
  static pb::GetStatus Of(const GetStatus&);
  static pb::Status Of(const Status&);
  static pb::WatchClients Of(const WatchClients&);
  static pb::Presence Of(const Presence&);
};

template <typename Message>
using Proto = decltype(ProtoType::Of(Message()));

template <typename Message>
Proto<Message> SampleProto() {
  Proto<Message> proto;
  EXPECT_TRUE(proto.ParseFromString(Encode(Sample<Message>())));
  return proto;
}

// Whether a message is still accepted after `change`; `*message` has it then.
template <typename Message, typename Change>
bool Accepts(Change change, Message* message) {
  Proto<Message> proto = SampleProto<Message>();
  change(proto);
  return Parse(proto.SerializeAsString(), message);
}
template <typename Message, typename Change>
bool Accepts(Change change) {
  Message message;
  return Accepts<Message>(change, &message);
}

// -- The fewest fields that make a valid message --

template <typename Message>
void FillFewest(Message*) {}
void FillFewest(Welcome* m) { m->session_number = SessionNumber{1}; }
void FillFewest(Reader* m) { m->subscription = SubscriptionId{1}; }
void FillFewest(Open* m) { m->channel = ChannelNumber{1}; }
void FillFewest(Opened* m) { m->channel = ChannelNumber{1}; }
void FillFewest(Subscribe* m) { m->subscription = SubscriptionId{1}; }
void FillFewest(Presence* m) { m->session_number = SessionNumber{1}; }
void FillFewest(Announce* m) { m->session_number = SessionNumber{1}; }
void FillFewest(Join* m) { FillFewest(&m->reader); }
void FillFewest(Resend* m) { FillFewest(&m->reader); }
void FillFewest(Schema* m) { m->hash = std::string(kSha256Bytes, '\0'); }
void FillFewest(GetSchema* m) { m->hash = std::string(kSha256Bytes, '\0'); }

template <typename Message>
Message Fewest() {
  Message message;
  FillFewest(&message);
  return message;
}

// -- What holds for every message --

template <typename Message>
class ControlMessageTest : public testing::Test {
 protected:
  // Garbage is refused without a line in the log.
  LogSilencer silencer_;
};

template <typename Tuple>
struct TypesOf;
template <typename... Message>
struct TypesOf<std::tuple<Message...>> {
  using type = testing::Types<Message...>;
};
struct NameOfMessage {
  template <typename Message>
  static std::string GetName(int) {
    return KindName(Message::kKind);
  }
};
TYPED_TEST_SUITE(ControlMessageTest, TypesOf<test::ControlMessages>::type,
                 NameOfMessage);

// If `payload` parses, then what was understood survives another trip.
template <typename Message>
void ExpectStableIfAccepted(std::string_view payload) {
  Message message;
  if (!Parse(payload, &message)) return;
  const std::string encoded = Encode(message);
  Message again;
  ASSERT_TRUE(Parse(encoded, &again)) << "what we encode, we accept";
  EXPECT_TRUE(Same(message, again));
  EXPECT_EQ(Encode(again), encoded);
}

TYPED_TEST(ControlMessageTest, AllFieldsSetComeBackEqual) {
  const auto message = Sample<TypeParam>();
  TypeParam parsed;
  ASSERT_TRUE(Parse(Encode(message), &parsed));
  EXPECT_TRUE(Same(parsed, message));
  EXPECT_EQ(Encode(parsed), Encode(message));
}

TYPED_TEST(ControlMessageTest, FewestFieldsComeBackEqual) {
  const auto message = Fewest<TypeParam>();
  TypeParam parsed;
  ASSERT_TRUE(Parse(Encode(message), &parsed));
  EXPECT_TRUE(Same(parsed, message));
}

TYPED_TEST(ControlMessageTest, SampleDiffersFromTheFewest) {
  EXPECT_FALSE(Same(Sample<TypeParam>(), Fewest<TypeParam>()));
}

TYPED_TEST(ControlMessageTest, ParseReplacesWhatTheStructHeldBefore) {
  auto parsed = Sample<TypeParam>();
  ASSERT_TRUE(Parse(Encode(Sample<TypeParam>()), &parsed));
  EXPECT_TRUE(Same(parsed, Sample<TypeParam>()));
  ASSERT_TRUE(Parse(Encode(Fewest<TypeParam>()), &parsed));
  EXPECT_TRUE(Same(parsed, Fewest<TypeParam>()));
}

// Every field of `proto`, and of the first of its repeated messages, is set.
void ExpectAllFieldsSet(const google::protobuf::Message& proto) {
  const auto* descriptor = proto.GetDescriptor();
  const auto* reflection = proto.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const bool is_message =
        field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (field->is_repeated()) {
      ASSERT_GT(reflection->FieldSize(proto, field), 1) << field->full_name();
      if (!is_message) continue;
      ExpectAllFieldsSet(reflection->GetRepeatedMessage(proto, field, 0));
    } else {
      ASSERT_TRUE(reflection->HasField(proto, field)) << field->full_name();
      if (!is_message) continue;
      ExpectAllFieldsSet(reflection->GetMessage(proto, field));
    }
  }
}

TYPED_TEST(ControlMessageTest, EncodeForgetsNoFieldOfTheProto) {
  ExpectAllFieldsSet(SampleProto<TypeParam>());
}

TYPED_TEST(ControlMessageTest, FieldsOfANewerPeerAreIgnored) {
  // Field 1000, a varint, before and behind what we know.
  const std::string unknown("\xc0\x3e\x07", 3);
  TypeParam parsed;
  ASSERT_TRUE(Parse(unknown + Encode(Sample<TypeParam>()) + unknown, &parsed));
  EXPECT_TRUE(Same(parsed, Sample<TypeParam>()));
}

// Where a field ends; only there may a message be cut and still be one.
std::set<size_t> FieldEnds(std::string_view payload) {
  std::set<size_t> ends = {0};
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t*>(payload.data()),
      static_cast<int>(payload.size()));
  while (uint32_t tag = stream.ReadTag()) {
    EXPECT_TRUE(
        google::protobuf::internal::WireFormatLite::SkipField(&stream, tag));
    ends.insert(static_cast<size_t>(stream.CurrentPosition()));
  }
  return ends;
}

TYPED_TEST(ControlMessageTest, MessageCutWithinAFieldIsRefused) {
  const std::string payload = Encode(Sample<TypeParam>());
  const std::set<size_t> ends = FieldEnds(payload);
  for (size_t size = 0; size < payload.size(); ++size) {
    const std::string_view cut = std::string_view(payload).substr(0, size);
    TypeParam parsed;
    if (!ends.contains(size)) {
      EXPECT_FALSE(Parse(cut, &parsed)) << size;
    }
    ExpectStableIfAccepted<TypeParam>(cut);
  }
}

TYPED_TEST(ControlMessageTest, RandomBytesAreRefusedOrUnderstood) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int i = 0; i < 20'000; ++i) {
    std::string payload(random() % 64, '\0');
    for (char& byte : payload) byte = static_cast<char>(random());
    ExpectStableIfAccepted<TypeParam>(payload);
    ASSERT_FALSE(testing::Test::HasFailure()) << absl::CHexEscape(payload);
  }
}

TYPED_TEST(ControlMessageTest, DamagedMessagesAreRefusedOrUnderstood) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  const std::string good = Encode(Sample<TypeParam>());
  for (int i = 0; i < 20'000; ++i) {
    std::string payload = good;
    for (uint64_t left = 1 + random() % 4; left > 0; --left) {
      const size_t place = random() % (payload.size() + 1);
      switch (random() % 3) {
        case 0:
          payload.insert(place, 1, static_cast<char>(random()));
          break;
        case 1:
          payload.erase(place, random() % 4);
          break;
        default:
          if (place == payload.size()) break;
          payload[place] =
              static_cast<char>(payload[place] ^ (1 << (random() % 8)));
      }
    }
    ExpectStableIfAccepted<TypeParam>(payload);
    ASSERT_FALSE(testing::Test::HasFailure()) << absl::CHexEscape(payload);
  }
}

TYPED_TEST(ControlMessageTest, AppendControlMakesAFrameOfItsKind) {
  const auto message = Sample<TypeParam>();
  std::string out;
  AppendControl(message, 42, &out);
  const FrameHeader header =
      LoadHeader(reinterpret_cast<const std::byte*>(out.data()));
  EXPECT_EQ(header, (FrameHeader{.size = static_cast<uint32_t>(out.size()),
                                 .kind = TypeParam::kKind,
                                 .sequence = 42}));
  EXPECT_EQ(CheckHeader(header, kControlFrameBytesMax), FrameFault::kNone);
  EXPECT_EQ(out.substr(kFrameHeaderBytes), Encode(message));
}

TEST(ControlTest, EveryControlKindHasItsMessageAndNoOtherKindHasOne) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    EXPECT_EQ(test::VisitControl(kind, [](auto) {}),
              IsKnownKind(kind) && !IsData(kind) && !IsHeaderOnly(kind))
        << KindName(kind);
  }
}

// -- Tokens --

const std::vector<size_t>& WrongTokenSizes() {
  static const std::vector<size_t> kSizes = {0, 1, 15, 17, 32};
  return kSizes;
}

TEST(ControlTest, TokensHaveSixteenBytesWhereverTheyStand) {
  for (size_t size : WrongTokenSizes()) {
    SCOPED_TRACE(size);
    const std::string bytes(size, 't');
    EXPECT_FALSE(Accepts<Hello>([&](auto& p) { p.set_token(bytes); }));
    EXPECT_FALSE(Accepts<Welcome>([&](auto& p) { p.set_instance(bytes); }));
    EXPECT_FALSE(Accepts<Announce>([&](auto& p) { p.set_token(bytes); }));
    EXPECT_FALSE(Accepts<Status>([&](auto& p) { p.set_instance(bytes); }));
    EXPECT_FALSE(Accepts<Presence>([&](auto& p) { p.set_token(bytes); }));
    EXPECT_FALSE(Accepts<Open>(
        [&](auto& p) { p.mutable_readers(1)->set_token(bytes); }));
    EXPECT_FALSE(Accepts<Opened>(
        [&](auto& p) { p.mutable_readers(1)->set_token(bytes); }));
    EXPECT_FALSE(Accepts<Subscribe>(
        [&](auto& p) { p.mutable_positions(1)->set_token(bytes); }));
    EXPECT_FALSE(
        Accepts<Join>([&](auto& p) { p.mutable_reader()->set_token(bytes); }));
    EXPECT_FALSE(Accepts<Resend>(
        [&](auto& p) { p.mutable_reader()->set_token(bytes); }));
    EXPECT_FALSE(Accepts<Clients>(
        [&](auto& p) { p.mutable_clients(1)->set_token(bytes); }));
  }
}

TEST(ControlTest, PreviousInstanceIsAbsentOrHasSixteenBytes) {
  for (size_t size : WrongTokenSizes()) {
    const std::string bytes(size, 't');
    EXPECT_EQ(Accepts<Hello>([&](auto& p) { p.set_previous_instance(bytes); }),
              size == 0)
        << size;
  }
  Hello hello;
  EXPECT_TRUE(
      Accepts<Hello>([](auto& p) { p.clear_previous_instance(); }, &hello));
  EXPECT_TRUE(hello.previous_instance.IsZero());
}

TEST(ControlTest, JoinAndResendNeedAReader) {
  EXPECT_FALSE(Accepts<Join>([](auto& p) { p.clear_reader(); }));
  EXPECT_FALSE(Accepts<Resend>([](auto& p) { p.clear_reader(); }));
}

// -- Numbers that start at 1 --

TEST(ControlTest, SessionNumberZeroIsRefused) {
  EXPECT_FALSE(Accepts<Welcome>([](auto& p) { p.set_session_number(0); }));
  EXPECT_FALSE(Accepts<Announce>([](auto& p) { p.set_session_number(0); }));
  EXPECT_FALSE(Accepts<Presence>([](auto& p) { p.set_session_number(0); }));
  EXPECT_FALSE(Accepts<Clients>(
      [](auto& p) { p.mutable_clients(1)->set_session_number(0); }));
}

TEST(ControlTest, ChannelZeroIsRefused) {
  EXPECT_FALSE(Accepts<Open>([](auto& p) { p.set_channel(0); }));
  EXPECT_FALSE(Accepts<Opened>([](auto& p) { p.set_channel(0); }));
  EXPECT_FALSE(Accepts<Subscribe>(
      [](auto& p) { p.mutable_positions(1)->set_channel(0); }));
  EXPECT_FALSE(Accepts<Join>([](auto& p) { p.set_channels(1, 0); }));
  EXPECT_FALSE(
      Accepts<Resend>([](auto& p) { p.mutable_channels(1)->set_channel(0); }));
}

TEST(ControlTest, SubscriptionZeroIsRefused) {
  EXPECT_FALSE(Accepts<Subscribe>([](auto& p) { p.set_subscription(0); }));
  auto zero = [](pb::Reader* reader) { reader->set_subscription(0); };
  EXPECT_FALSE(Accepts<Open>([&](auto& p) { zero(p.mutable_readers(1)); }));
  EXPECT_FALSE(Accepts<Opened>([&](auto& p) { zero(p.mutable_readers(1)); }));
  EXPECT_FALSE(Accepts<Join>([&](auto& p) { zero(p.mutable_reader()); }));
  EXPECT_FALSE(Accepts<Resend>([&](auto& p) { zero(p.mutable_reader()); }));
}

TEST(ControlTest, NumbersThatMayBeAbsentAreAccepted) {
  EXPECT_TRUE(Accepts<Open>([](auto& p) {
    p.mutable_readers(0)->set_reader(0);
  })) << "a publisher that hands back has no reader number";
  EXPECT_TRUE(Accepts<Announce>([](auto& p) {
    p.set_topic_id(0);
    p.set_channel(0);
  })) << "the session alone is announced";
  EXPECT_TRUE(Accepts<Subscribe>([](auto& p) {
    p.mutable_positions(0)->set_sequence(0);
  })) << "nothing consumed yet";
  EXPECT_TRUE(Accepts<ListClients>([](auto& p) { p.set_after(0); }))
      << "from the first";
}

TEST(ControlTest, OpenNamesARangeThatStartsAtOneOrLater) {
  auto accepts = [](uint64_t first, uint64_t next) {
    return Accepts<Open>([=](auto& p) {
      p.set_first_sequence(first);
      p.set_next_sequence(next);
    });
  };
  const uint64_t max = kSequenceMax;
  EXPECT_FALSE(accepts(0, 0));
  EXPECT_FALSE(accepts(0, 1));
  EXPECT_FALSE(accepts(1, 0));
  EXPECT_TRUE(accepts(1, 1)) << "nothing published yet";
  EXPECT_TRUE(accepts(5, 5)) << "all acknowledged";
  EXPECT_TRUE(accepts(5, 6));
  EXPECT_FALSE(accepts(6, 5));
  EXPECT_TRUE(accepts(1, max));
  EXPECT_TRUE(accepts(max, max));
  EXPECT_FALSE(accepts(max, max - 1));
  EXPECT_FALSE(accepts(1, max + 1)) << "a GAP could not name it";
}

// -- Hashes --

TEST(ControlTest, HashHasThirtyTwoBytesOrIsAbsentWhereTypesMayBe) {
  for (size_t size : {0, 1, 31, 32, 33, 64}) {
    SCOPED_TRACE(size);
    const std::string hash(size, 'h');
    const bool whole = size == 32;
    auto schema_hash = [&](auto& p) { p.set_schema_hash(hash); };
    auto plain_hash = [&](auto& p) { p.set_hash(hash); };
    EXPECT_EQ(Accepts<Open>(schema_hash), whole || size == 0);
    EXPECT_EQ(Accepts<Announce>(schema_hash), whole || size == 0);
    EXPECT_EQ(Accepts<Schema>(plain_hash), whole);
    EXPECT_EQ(Accepts<GetSchema>(plain_hash), whole);
  }
}

TEST(Sha256Test, AgreesWithTheExamplesOfTheStandard) {
  auto hex = [](std::string_view bytes) {
    const std::string digest = Sha256(bytes);
    EXPECT_EQ(digest.size(), kSha256Bytes);
    return absl::BytesToHexString(digest);
  };
  EXPECT_EQ(hex(""),
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223"
            "b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67"
            "f1809a48a497200e046d39ccc7112cd0");
}

// -- Enums --

TEST(ControlTest, PolicyIsOneOfTheThreeThatExist) {
  for (int value : {-1, 0, 4, 5, 255, 257, 258, 0x7fffffff}) {
    EXPECT_FALSE(Accepts<Subscribe>([&](auto& p) {
      p.set_policy(static_cast<pb::Policy>(value));
    })) << value;
  }
  for (Policy policy :
       {Policy::kReliable, Policy::kBestEffort, Policy::kLatest}) {
    Subscribe parsed;
    const auto set = [&](bool drop_newest) {
      return [policy, drop_newest](auto& p) {
        p.set_policy(static_cast<pb::Policy>(policy));
        p.set_drop_newest(drop_newest);
      };
    };
    EXPECT_TRUE(Accepts<Subscribe>(set(false), &parsed));
    EXPECT_EQ(parsed.policy, policy);
    EXPECT_EQ(Accepts<Subscribe>(set(true), &parsed),
              policy == Policy::kBestEffort)
        << "drop_newest is for best effort";
  }
}

TEST(ControlTest, CloseReasonsHaveTheNumbersAndNamesOfTheProto) {
  const auto* reasons = pb::CloseReason_descriptor();
  for (int i = 0; i < reasons->value_count(); ++i) {
    const auto* value = reasons->value(i);
    const std::string name =
        absl::StrReplaceAll(absl::AsciiStrToLower(value->name()),
                            {{"close_reason_", ""}, {"_", "-"}});
    const auto reason = static_cast<CloseReason>(value->number());
    EXPECT_EQ(CloseReasonName(reason), name);
    Goodbye parsed;
    EXPECT_TRUE(Parse(Encode(Goodbye{.reason = reason, .text = ""}), &parsed));
    EXPECT_EQ(parsed.reason, reason);
  }
}

TEST(ControlTest, CloseReasonOfANewerPeerIsUnspecifiedAndKeepsItsText) {
  // 256 and 257 would pass for known ones if they were narrowed first.
  for (int value : {-1, 13, 255, 256, 257, 0x7fffffff}) {
    Goodbye parsed;
    ASSERT_TRUE(Accepts<Goodbye>(
        [&](auto& p) { p.set_reason(static_cast<pb::CloseReason>(value)); },
        &parsed));
    EXPECT_EQ(parsed.reason, CloseReason::kUnspecified) << value;
    EXPECT_EQ(parsed.text, Sample<Goodbye>().text);
  }
}

TEST(ControlTest, StatusCodesOfAbslPassAndOthersBecomeInternal) {
  for (uint32_t code = 0; code < 300; ++code) {
    Result parsed;
    ASSERT_TRUE(Accepts<Result>([&](auto& p) { p.set_code(code); }, &parsed));
    EXPECT_EQ(parsed.code, code <= 16 ? static_cast<absl::StatusCode>(code)
                                      : absl::StatusCode::kInternal);
  }
  Result parsed;
  ASSERT_TRUE(Accepts<Result>([](auto& p) { p.set_code(~0u); }, &parsed));
  EXPECT_EQ(parsed.code, absl::StatusCode::kInternal);
}

TEST(ControlTest, TextThatIsNotUtf8IsRefused) {
  LogSilencer silencer;
  auto hello = Sample<Hello>();
  hello.name = "imu~driver";
  std::string payload = Encode(hello);
  Hello parsed;
  ASSERT_TRUE(Parse(payload, &parsed));
  payload[payload.find('~')] = '\xff';
  EXPECT_FALSE(Parse(payload, &parsed));
}

// -- Sizes --

// The payload of a frame may not outgrow kControlFrameBytesMax.
template <typename Message>
void ExpectFitsFrame(const Message& message) {
  EXPECT_LE(Encode(message).size() + kFrameHeaderBytes, kControlFrameBytesMax);
}

SessionKey LargestKey() {
  return {.token = test::SampleToken(1), .pid = 1 << 22, .uid = ~0u};
}

TEST(ControlSizeTest, LargestResumeFitsAFrame) {
  Subscribe message = Sample<Subscribe>();
  message.pattern = std::string(kTopicBytesMax, 'p');
  message.positions.assign(kPositionsPerSubscriptionMax,
                           {.session = LargestKey(),
                            .channel = ChannelNumber{~0u},
                            .sequence = ~uint64_t{0}});
  ExpectFitsFrame(message);
}

TEST(ControlSizeTest, LargestPageOfTopicsFitsAFrame) {
  Topics message;
  message.topics.assign(kListPageItems,
                        {.topic = std::string(kTopicBytesMax, 't'),
                         .type_name = std::string(kTypeNameBytesMax, 'n'),
                         .publishers = ~0u,
                         .subscriptions = ~0u,
                         .messages = ~uint64_t{0},
                         .bytes = ~uint64_t{0}});
  ExpectFitsFrame(message);
}

TEST(ControlSizeTest, LargestPageOfClientsFitsAFrame) {
  Clients message;
  message.clients.assign(
      kListPageItems,
      {.name = std::string(kClientNameBytesMax, 'n'),
       .session = LargestKey(),
       .session_number = SessionNumber{~0u},
       .gid = ~0u,
       .connected = true,
       .publications = ~0u,
       .subscriptions = ~0u,
       .messages_in = ~uint64_t{0},
       .messages_out = ~uint64_t{0},
       .queued_bytes = ~uint64_t{0},
       .dropped = ~uint64_t{0},
       .slow = std::vector<Clients::Slow>(
           kSlowListedMax, {.subscription = SubscriptionId{~0u},
                            .pattern = std::string(kTopicBytesMax, 'p'),
                            .messages = ~uint64_t{0},
                            .idle = absl::Hours(24 * 365),
                            .set_aside = true})});
  ExpectFitsFrame(message);
}

TEST(ControlSizeTest, LargestSchemaFitsAFrame) {
  ExpectFitsFrame(
      Schema{.hash = std::string(kSha256Bytes, 'h'),
             .file_descriptor_set = std::string(kSchemaSetBytesMax, 's')});
}

TEST(ControlSizeTest, LargestHelloFitsTheHandshakesLimit) {
  Hello message = Sample<Hello>();
  message.version_min = ~0u;
  message.version_max = ~0u;
  message.name = std::string(kClientNameBytesMax, 'n');
  message.features = ~uint64_t{0};
  message.window_bytes = ~uint64_t{0};
  EXPECT_LE(Encode(message).size() + kFrameHeaderBytes,
            kHandshakeFrameBytesMax);
}

}  // namespace
}  // namespace ipc::wire
