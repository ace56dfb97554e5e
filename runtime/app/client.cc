#include "runtime/app/client.h"

#include <future>

#include "runtime/link/tcp/tcp.h"

namespace reef::app {
namespace {

constexpr Duration kConnectTime = std::chrono::seconds(10);

}  // namespace

Result<std::unique_ptr<Client>> Client::connect(const node::Identity& identity,
                                                const std::string& host, std::uint16_t port) {
  using Sealed = Result<std::unique_ptr<link::secure::SecureLink>>;
  std::unique_ptr<Client> client(new Client);
  auto promise = std::make_shared<std::promise<Sealed>>();
  const Deadline deadline = client->loop_.clock().now() + kConnectTime;
  link::tcp::dial(client->loop_, host, port, deadline, [&identity, promise, deadline](auto plain) {
    if (!plain.ok()) return promise->set_value(plain.error());
    const link::secure::ExpectedPeer expected{identity.scheduler, security::Role::kScheduler};
    link::secure::connect(std::move(*plain), identity.local, expected, {}, deadline,
                          [promise](Sealed sealed) { promise->set_value(std::move(sealed)); });
  });
  Sealed sealed = promise->get_future().get();
  if (!sealed.ok()) {
    return Error{sealed.error().code, "scheduler " + host + ":" + std::to_string(port),
                 sealed.error().what};
  }
  Client* self = client.get();
  client->channel_ = link::Channel::create(std::move(*sealed));
  client->channel_->start([self](link::Message message) { self->receive(message); },
                          [self](const Error& why) {
                            self->push(Error{why.code, "scheduler", why.what});
                          });
  return client;
}

Client::~Client() {
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
  switch (static_cast<node::Kind>(message.kind)) {
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
  events_.push_back(std::move(event));
  arrived_.notify_one();
}

std::optional<Event> Client::next(Duration wait) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, wait, [this] { return !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace reef::app
