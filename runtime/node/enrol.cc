#include "runtime/node/enrol.h"

#include <future>

#include "runtime/link/loop.h"
#include "runtime/link/secure/secure_link.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/node/identity.h"
#include "security/identity/request.h"

namespace reef::node {
namespace {

constexpr Duration kEnrolTime = std::chrono::seconds(10);

using Sealed = Result<std::unique_ptr<link::secure::SecureLink>>;
using Answer = Result<Bytes>;

/// The key in this file, or a new one, which is on the disk when this returns: the token is
/// consumed before the answer is here, and the name then belongs to this key.
Result<security::NodeKey> kept_key(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return security::NodeKey::load(path);
  auto key = security::NodeKey::generate();
  ATOLL_TRY(key.save(path));
  return key;
}

/// Fulfilled once; what comes later is of no interest.
class Once {
 public:
  void set(Answer answer) {
    if (!std::exchange(set_, true)) promise_.set_value(std::move(answer));
  }
  std::future<Answer> future() { return promise_.get_future(); }

 private:
  bool set_ = false;
  std::promise<Answer> promise_;
};

/// Dials, shakes hands with the token and exchanges the two messages, all on `loop`.
Answer exchange(link::Loop& loop, const EnrolOptions& options, const link::secure::Local& local,
                const security::SecretBytes& message) {
  const auto once = std::make_shared<Once>();
  auto future = once->future();
  const auto held = std::make_shared<std::unique_ptr<link::secure::SecureLink>>();
  const Deadline deadline = loop.clock().now() + kEnrolTime;
  loop.at(deadline, [once] {
    once->set(Error{Code::kTimedOut, "scheduler", "did not answer the enrolment in time"});
  });
  const auto talk = [once, held, deadline, &message](Sealed sealed) {
    if (!sealed.ok()) return once->set(sealed.error());
    *held = std::move(*sealed);
    (*held)->start([once](Bytes answer) { once->set(std::move(answer)); },
                   [once](const Error&) {
                     once->set(Error{Code::kRefused, "scheduler", "closed the line"});
                   });
    (*held)->send(to_bytes(message.view()), deadline, nullptr);
  };
  link::tcp::dial(
      loop, options.scheduler_host, options.scheduler_port, deadline,
      [once, local, deadline, talk](auto plain) {
        if (!plain.ok()) return once->set(plain.error());
        const link::secure::ExpectedPeer expected{local.token->scheduler,
                                                  security::Role::kScheduler};
        link::secure::connect(
            std::move(*plain), local, expected, {.stream = link::secure::kEnrolStream}, deadline,
            [once, talk](Sealed sealed) {
              // The handshake failed, whatever the reason looks like.
              if (!sealed.ok() && sealed.error().code != Code::kTimedOut)
                return once->set(Error{Code::kRefused, "scheduler", "refused the handshake"});
              talk(std::move(sealed));
            });
      });
  Answer answer = future.get();
  loop.call([held] { held->reset(); });
  return answer;
}

}  // namespace

security::SecretBytes enrol_message(const security::EnrolmentToken& token, BytesView request) {
  security::SecretBytes message(token.secret.size() + request.size());
  std::copy(token.secret.view().begin(), token.secret.view().end(), message.data());
  std::copy(request.begin(), request.end(), message.data() + token.secret.size());
  return message;
}

Result<security::Grant> enrol(const EnrolOptions& options, const security::NodeKey& key,
                              std::shared_ptr<const security::EnrolmentToken> token) {
  const std::string where =
      "scheduler " + options.scheduler_host + ":" + std::to_string(options.scheduler_port);
  // The datacenter is the token's to say; a request must have one.
  ATOLL_ASSIGN(const Bytes request, security::sign_request(key, options.role, options.name, "-"));
  link::secure::Local local;
  // A handshake wants a key that it may share; a grant is for the caller's.
  local.key = std::shared_ptr<const security::NodeKey>(std::shared_ptr<void>(), &key);
  local.token = token;
  link::Loop loop;
  const security::SecretBytes message = enrol_message(*token, request);
  const Answer answer = exchange(loop, options, local, message);
  loop.stop();
  if (!answer.ok() && answer.error().code != Code::kRefused)
    return Error{answer.error().code, where, answer.error().what};
  if (!answer.ok()) {
    return Error{
        Code::kRefused, where,
        "does not accept this enrolment; its log says why; tokens are for one cluster, one "
        "role, one use and some minutes: ask for a new one ('atoll token create')"};
  }
  ATOLL_ASSIGN(auto grant, security::parse_grant(*answer));
  ATOLL_ASSIGN(const auto credential,
               security::check_grant(grant, key, link::secure::system_unix_now()));
  const bool asked = credential.name == options.name && credential.role == options.role &&
                     grant.scheduler == token->scheduler;
  if (!asked) return Error{Code::kRefused, where, "granted something else than what was asked for"};
  return grant;
}

Result<security::Credential> enrol_into(const std::filesystem::path& folder,
                                        const EnrolOptions& options,
                                        std::shared_ptr<const security::EnrolmentToken> token) {
  ATOLL_ASSIGN(const auto key, kept_key(folder / "node.key"));
  ATOLL_ASSIGN(const auto grant, enrol(options, key, std::move(token)));
  ATOLL_TRY(install_identity(folder, key, grant));
  return security::parse_credential(grant.credential);
}

}  // namespace reef::node
