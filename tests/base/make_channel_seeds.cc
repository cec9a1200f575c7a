// make_channel_seeds OUT: messages in good order, of each kind, as seeds of the targets that fuzz
// channels, in OUT/TARGET/.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "lmtpd/base/messages.h"
#include "tests/base/hostile_packets.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::testing;

class Folder {
 public:
  Folder(const std::filesystem::path& out, const char* target) : path_(out / target) {
    std::filesystem::create_directories(path_);
  }
  void add(const std::string& octets) {
    std::ofstream(path_ / std::to_string(++number_), std::ios::binary) << octets;
  }

 private:
  std::filesystem::path path_;
  int number_ = 0;
};

std::string ticket() {
  return seal_ticket({}, {MailboxOwner{Uid(1001), Gid(1001)}, *MailboxPath::parse("d.org/u/"),
                          Clock::time_point::max()});
}

// One octet for the number of descriptors, and the packet.
template <class... Messages>
std::string packet_of(const Messages&... messages) {
  auto pair = make_channel_pair();
  Channel channel(std::move(pair->first));
  (channel.send(messages), ...);
  must(channel.flush() == Channel::Status::ok);
  std::string octets(Channel::kMaxPacket, '\0');
  octets.resize(static_cast<std::size_t>(
      ::recv(pair->second.get(), octets.data(), octets.size(), MSG_DONTWAIT)));
  return '\0' + octets;
}

void make_packets(Folder folder) {
  const std::string sealed = ticket();
  folder.add(packet_of(Configure{.parameters = "a\0b"}, Start{}, Stop{}, Serve{}, Retire{}, Ready{},
                       CounterPage{}));
  folder.add(packet_of(Introduce{.kind = 2}, StartWorker{}, WorkerRefused{.text = "why"},
                       ExpelWorker{}, WantLookup{}, Leaving{}, Left{}));
  folder.add(packet_of(MakeMailbox{.id = 1, .ticket = sealed}, WantWorker{sealed}));
  folder.add(packet_of(MailboxMade{.id = 1, .text = "why"}, Outcome{.id = 1, .stored = true}));
  folder.add(packet_of(Resolve{1, "u@d.org"},
                       Resolved{.id = 1, .targets = {{sealed, "u@d.org"}}, .goes_on = true}));
  folder.add(packet_of(Authenticate{.id = 1, .address = "::1", .mechanism = "PLAIN"},
                       AuthResponse{1, "x"}, AuthEnd{1}, AuthStep{1, 0, "x"}));
  folder.add(packet_of(Deliver{.deliveries = {{1, sealed, "H: x\n", 9}, {2, sealed, "", 4}},
                               .body = "body",
                               .body_size = 4}));
}

void make_for_worker(Folder folder) {
  const Deliver two{
      .deliveries = {{1, "m", "H: x\n", 9}, {2, "x", "", 4}}, .body = "body", .body_size = 4};
  const Deliver file{.deliveries = {{3, "m", "H: y\n", 9}}, .body_size = 5};
  const Deliver alone{
      .deliveries = {{4, "m", "H: z\n", 9}}, .body = "body", .body_size = 4, .alone = true};
  folder.add(hostile_input(two) + hostile_input(file, 1) + hostile_input(Left{}));
  folder.add(hostile_input(alone));
  folder.add(hostile_input(Left{}) + hostile_input(two));
  folder.add(hostile_input(two) + hostile_input(two));
}

void make_for_lookup(Folder folder) {
  folder.add(hostile_input(Resolve{1, "u@d.org"}) + hostile_input(Resolve{2, "both@d.org"}, 0) +
             hostile_input(Resolve{3, "loop@d.org"}) + hostile_input(Resolve{1, "nobody@d.org"}));
  folder.add(hostile_input(WantWorker{""}) + hostile_input(WantWorker{ticket()}));
  const Authenticate plain{.id = 1,
                           .address = "192.0.2.1",
                           .mechanism = "PLAIN",
                           .has_response = true,
                           .response = {"\0u\0p", 4}};
  const Authenticate scram{.id = 2, .address = "192.0.2.1", .mechanism = "SCRAM-SHA-256"};
  folder.add(hostile_input(plain) + hostile_input(scram) +
             hostile_input(AuthResponse{2, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"}) +
             hostile_input(AuthResponse{2, "c=biws,r=x,p=AAAA"}) + hostile_input(AuthEnd{1}));
  // With 159 KiB more the longest that a payload holds: SCRAM's answer would be longer.
  const std::string first = "n,,n=user,r=" + std::string(960, 'r');
  const Authenticate with_nonce{.id = 1,
                                .address = "192.0.2.1",
                                .mechanism = "SCRAM-SHA-256",
                                .has_response = true,
                                .response = first};
  for (const std::size_t more : {0UL, 8UL, 9UL, 159UL, 160UL}) {
    folder.add(hostile_long_input(with_nonce, first.size(), more));
  }
  folder.add(hostile_input(scram) + hostile_long_input(AuthResponse{2, first}, first.size(), 159));
  folder.add(hostile_long_input(Resolve{1, "u@d.org"}, 7, 1) +
             hostile_long_input(Resolve{2, "u@d.org"}, 7, 4));
  std::string many;
  for (std::uint64_t id = 1; id <= 6; ++id) {
    many += hostile_input(Authenticate{.id = id, .address = "::1", .mechanism = "LOGIN"});
  }
  folder.add(many + hostile_input(AuthResponse{1, "user"}) +
             hostile_input(AuthResponse{6, "user"}));
}

void make_for_frontend(Folder folder) {
  folder.add('\0' + hostile_input(Outcome{.id = 2, .stored = true}) +
             hostile_input(Outcome{.id = 1, .reason = Reason::over_quota, .text = "a\r\nb"}, 0) +
             hostile_input(Leaving{}) + hostile_input(Outcome{.id = 3, .stored = true}));
  const std::string sealed = ticket();
  folder.add('\1' +
             hostile_input(Resolved{.id = 2, .targets = {{sealed, "u@d.org"}}, .goes_on = true}) +
             hostile_input(Resolved{.id = 2, .targets = {{sealed, "v@d.org"}}}, 0) +
             hostile_input(Resolved{.id = 1, .reason = Reason::unknown_user, .text = "no"}));
  folder.add('\1' + hostile_input(AuthStep{1, 0, "x"}) + hostile_input(AuthStep{1, 1, "user"}));
  folder.add('\1' + hostile_input(AuthStep{1, 1, "user"}) + hostile_input(AuthStep{1, 2, ""}));
  folder.add('\1' + hostile_input(AuthStep{1, 0, "x"}) + hostile_input(AuthStep{1, 3, ""}));
  folder.add('\1' + hostile_long_input(AuthStep{1, 0, "x"}, 1, 9));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_channel_seeds OUT\n";
    return 2;
  }
  const std::filesystem::path out = argv[1];
  make_packets({out, "fuzz_channel"});
  make_for_worker({out, "fuzz_worker_channel"});
  make_for_lookup({out, "fuzz_lookup_channel"});
  make_for_frontend({out, "fuzz_frontend_channels"});
  return 0;
}
