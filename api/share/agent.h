// SPDX-License-Identifier: Apache-2.0
//
// The agent's socket in a share directory: SOCK_STREAM, AF_UNIX. A client connects; the agent takes
// the client's PID from SO_PEERCRED (translated by the kernel into the agent's namespace), sends
// one AgentHello and closes. Nothing that the client sends is read.

#pragma once

#include <stdint.h>

namespace hami::api {

inline constexpr char kSharesRoot[] = "/etc/hami/shares";  // in a container
// On a node, of its prepared claims: <uid>/<n> (deploy/dra/40-driver.yaml).
inline constexpr char kClaimsRoot[] = "/run/hami/claims";
inline constexpr char kLimitsFile[] = "limits";
inline constexpr char kRegionFile[] = "region";
inline constexpr char kAgentSocket[] = "agent.sock";

inline constexpr uint32_t kAgentMagic = 0x494d4148;  // "HAMI"

struct AgentHello {
  uint32_t magic;
  uint32_t version;  // 1
  int32_t host_pid;
  uint32_t unused;
};
static_assert(sizeof(AgentHello) == 16);

}  // namespace hami::api
