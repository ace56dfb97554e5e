#include "runtime/app/client.h"

#include <future>

#include "runtime/base/log.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::app {
namespace {

constexpr Duration kConnectTime = std::chrono::seconds(10);

}  // namespace

Client::Client(node::Identity identity)
    : identity_(std::move(identity)),
      sessions_(loop_, identity_.local.authority, identity_.policy, identity_.local.unix_now) {
  identity_.local.admit = [this](const security::Credential& who) { return sessions_.admit(who); };
}

Result<std::unique_ptr<Client>> Client::connect(const node::Identity& identity,
                                                const std::string& host, std::uint16_t port) {
  using Sealed = Result<std::unique_ptr<link::secure::SecureLink>>;
  std::unique_ptr<Client> client(new Client(identity));
  Client* self = client.get();
  if (!identity.roster.empty()) {
    Status taken;
    self->loop_.call([&] {
      if (const auto roster = self->sessions_.take_roster(identity.roster); !roster.ok())
        taken = roster.error();
    });
    ATOLL_TRY(taken);
  }
  auto promise = std::make_shared<std::promise<Status>>();
  const Deadline deadline = client->loop_.clock().now() + kConnectTime;
  link::tcp::dial(client->loop_, host, port, deadline, [self, promise, deadline](auto plain) {
    if (!plain.ok()) return promise->set_value(plain.error());
    const link::secure::ExpectedPeer expected{self->identity_.scheduler,
                                              security::Role::kScheduler};
    link::secure::connect(std::move(*plain), self->identity_.local, expected, {}, deadline,
                          [self, promise](Sealed sealed) {
                            if (!sealed.ok()) return promise->set_value(sealed.error());
                            self->talk(std::move(*sealed));
                            promise->set_value({});
                          });
  });
  const Status joined = promise->get_future().get();
  if (!joined.ok()) {
    return Error{joined.error().code, "scheduler " + host + ":" + std::to_string(port),
                 joined.error().what};
  }
  return client;
}

void Client::talk(std::unique_ptr<link::secure::SecureLink> link) {
  session_ = sessions_.add(link->peer(), [this](const Error& why) {
    push(Error{why.code, "scheduler", why.what});
  });
  channel_ = link::Channel::create(std::move(link));
  channel_->start([this](link::Message message) { receive(message); },
                  [this](const Error& why) {
                    push(Error{why.code, "scheduler", why.what});
                  });
  renewal_ = std::make_unique<node::Renewal>(
      loop_, identity_.credential, identity_.policy.credential_lifetime, identity_.local.unix_now,
      [this] {
        channel_->send(node::signal_message(node::Kind::kRenew, {}), kNoDeadline,
                       [](const Status&) {});
      });
}

Client::~Client() {
  loop_.call([this] { renewal_.reset(); });  // it sends over the channel
  if (channel_) channel_->close(true);
  channel_.reset();
  loop_.stop();
}

void Client::submit(const std::string& job_json, const std::string& run_folder) {
  channel_->send(node::submit_message({run_folder, job_json}), kNoDeadline, [](const Status&) {});
}

void Client::test_line(const node::TestLine& test) {
  channel_->send(node::test_line_message(test), kNoDeadline, [](const Status&) {});
}

void Client::cancel() {
  channel_->send(node::signal_message(node::Kind::kCancel, {}), kNoDeadline, [](const Status&) {});
}

/// As Node's: what is wrong with such a message ends nothing.
Status Client::on_identity(node::Kind kind, const link::Message& message) {
  if (kind == node::Kind::kPresent) return sessions_.renewed(session_, message.payload.view());
  if (kind == node::Kind::kRoster) {
    const std::string roster(as_text(message.payload.view()));
    ATOLL_ASSIGN(const bool newer, sessions_.take_roster(roster));
    if (!newer) return {};
    loop_.run_blocking([folder = identity_.folder, roster] {
      if (const Status saved = node::save_roster(folder, roster); !saved.ok())
        log_warning("the roster is not kept: " + saved.error().text());
    });
    return {};
  }
  ATOLL_ASSIGN(const node::Issued issued, node::read_issued(message));
  ATOLL_TRY(node::take_issued(identity_, issued.credential, issued.policy));
  renewal_->renewed(identity_.credential);
  loop_.run_blocking([identity = identity_] {
    if (const Status saved = node::save_credential(identity); !saved.ok())
      log_warning("the renewed credential is not kept: " + saved.error().text());
  });
  return {};
}

void Client::receive(const link::Message& message) {
  static const security::Policy policy = node::client_policy();
  if (!policy.allows(security::Role::kScheduler, message.kind)) {
    return push(Error{Code::kRefused, "scheduler", "sent a message it may not send"});
  }
  const auto take = [this](auto result) {
    if (result.ok()) {
      push(std::move(*result));
    } else {
      push(result.error());
    }
  };
  switch (const auto kind = static_cast<node::Kind>(message.kind)) {
    case node::Kind::kIssued:
    case node::Kind::kRoster:
    case node::Kind::kPresent:
      if (const Status taken = on_identity(kind, message); !taken.ok())
        log_warning("from the scheduler: " + taken.error().text());
      return;
    case node::Kind::kStatus:
      return take(node::read_status(message));
    case node::Kind::kProgress:
      return take(node::read_progress(message));
    case node::Kind::kCheckpoint:
      return take(node::read_checkpoint(message));
    case node::Kind::kLineResult:
      return take(node::read_line_result(message));
    default:
      return take(node::read_failure(message));
  }
}

void Client::push(Event event) {
  std::lock_guard lock(mutex_);
  events_.push_back({std::move(event), system_clock().now()});
  arrived_.notify_one();
}

std::optional<Arrived> Client::next(Duration wait) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, wait, [this] { return !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  Arrived event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace reef::app
