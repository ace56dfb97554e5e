#include "runtime/node/over_ucx.h"

#include <utility>

namespace reef::node {
namespace {

using link::secure::SecureLink;

Status may_use(const link::ucx::Context* context, const Identity& identity,
               const link::Streams& life_line) {
  const security::Credential& peer = life_line.front()->peer();
  if (context == nullptr) {
    return Error{Code::kUsage, peer.name,
                 "the plan goes over UCX to it; start this node with --ucx as the topology says"};
  }
  if (life_line.front()->stream().purpose != link::secure::Purpose::kUcx) {
    return Error{Code::kProto, peer.name, "came over TCP though the plan says UCX"};
  }
  if (peer.datacenter != identity.credential.datacenter) {
    return Error{Code::kRefused, peer.name,
                 "is of datacenter " + peer.datacenter + " by its credential; UCX stays within " +
                     identity.credential.datacenter};
  }
  return {};
}

}  // namespace

void to_ucx(link::Loop& loop, std::shared_ptr<link::ucx::Context> context, const Identity& identity,
            link::Streams life_line, bool dialled, Deadline deadline,
            std::function<void(Result<link::Streams>)> done) {
  if (const Status may = may_use(context.get(), identity, life_line); !may.ok())
    return done(may.error());
  const security::Credential peer = life_line.front()->peer();
  const auto sealed = [done, peer](Result<std::unique_ptr<SecureLink>> link) {
    if (!link.ok()) return done(link.error());
    if ((*link)->peer().noise_key != peer.noise_key) {
      return done(Error{Code::kRefused, peer.name, "is another over UCX than on its life line"});
    }
    link::Streams alone;
    alone.push_back(std::move(*link));
    done(std::move(alone));
  };
  link::ucx::join(loop, std::move(context), std::move(life_line.front()), deadline,
                  [done, peer, dialled, deadline, sealed, local = identity.local](auto link) {
                    if (!link.ok()) return done(link.error());
                    if (dialled) {
                      link::secure::connect(std::move(*link), local, {peer.noise_key, peer.role},
                                            {}, deadline, sealed);
                    } else {
                      link::secure::accept(std::move(*link), local, deadline, sealed);
                    }
                  });
}

}  // namespace reef::node
