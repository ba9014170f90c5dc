// The constant rules of every host: they name no tenant. A tenant is its elements in the sets and in the egress map.
//
//   table inet cloister
//     set   sources      { iifname . ip saddr }        bridge and address of every linked instance
//     set   tenants      { iifgroup . oifgroup }       (t, t): a tenant and itself
//     set   bytes_sent   { iifgroup : counter }        external bytes, as the tenant sees them
//     set   bytes_received { oifgroup : counter }
//     set   connections  { iifgroup : ct count }       made by the rule that bounds them, like the next two
//     set   questions    { iifgroup : limit }          datagrams to the DNS forwarder
//     set   dns_connections { iifgroup : ct count }
//     set   resets_held  { ip saddr . sport . dport }  resets of an upload, for kHeldMilliseconds
//     set   resets_seen  likewise, for longer
//     set   denied       { ip ranges }
//     map   egress       { iifgroup : verdict }        goto egress_internet | egress_none
//     chain prerouting   raw: sources of tenants are pinned, their IPv6 and what a port itself receives are dropped
//     chain input        tenant -> host: replies (a reset of an upload after a moment), and the DNS forwarder
//     chain forward      tenant -> itself | its egress; outside -> tenant: replies
//     chain ..._bytes    after the filters, so what is counted has passed
//     chain postrouting  masquerade
//   table bridge cloister
//     set   ports        { iifname . ether saddr . ip saddr }
//     set   bytes_sent   { iifgroup : counter }        internal bytes: from port to port of a tenant's bridge
//     set   bytes_received { oifgroup : counter }
//     chain prerouting   what enters by a tenant's port: IPv4 and ARP, MAC and address pinned, nothing else
//     chain forward_bytes  what is switched on, once for each port it leaves by
//
// A packet is a tenant's when its bridge's name begins with "cl" and the bridge has a device group: links of others are
// never filtered. Counted is the length of IP packets, headers included and Ethernet's not, external ones at the IP
// layer of the host, internal ones where the bridge passes them on: a segmented (GSO) packet counts its headers once.
// ARP counts nowhere, nor what a filter drops. Without the bridge family internal bytes are not counted. Where
// br_netfilter sends bridged packets through these chains, they match `tenants`. Threads: pure functions. Failures:
// none; the kernel judges the batch.
#pragma once

#include <string>

#include "sandbox/network/rules_builder.h"

namespace cloister::network {

inline constexpr const char* kSources = "sources";
inline constexpr const char* kTenants = "tenants";
inline constexpr const char* kBytesSent = "bytes_sent";
inline constexpr const char* kBytesReceived = "bytes_received";
inline constexpr const char* kConnections = "connections";
inline constexpr const char* kQuestions = "questions";
inline constexpr const char* kDnsConnections = "dns_connections";
inline constexpr const char* kResetsHeld = "resets_held";
inline constexpr const char* kResetsSeen = "resets_seen";
inline constexpr const char* kDenied = "denied";
inline constexpr const char* kEgress = "egress";
inline constexpr const char* kEgressInternet = "egress_internet";
inline constexpr const char* kEgressNone = "egress_none";
inline constexpr const char* kPorts = "ports";
// Connections to the outside and to the DNS forwarder that a tenant may have at once: the host's table is everybody's.
inline constexpr std::uint32_t kConnectionLimit = 2048;
// What of the one DNS forwarder a tenant has. It keeps a question that is not answered for 10 s and takes 20,000 of
// them (deploy/systemd/cloister-dns.service), and 200 connections.
inline constexpr Rate kQuestionLimit{100, 300};
inline constexpr std::uint32_t kDnsConnectionLimit = 8;

// An app that refuses an upload by its head, answers, and closes: its kernel resets the connection, because not all was
// read. The edge, which is sending, would fail before it has read the answer. So a reset is dropped at first: what the
// edge goes on to send, or its probe of the closed window, brings the next one. Who has sent no more than a head has
// nothing under way that would bring it, and gets the first.
inline constexpr std::uint64_t kHeldAboveBytes = 40'000;
inline constexpr std::uint64_t kHeldMilliseconds = 300;

enum class Ports { pinned, unsupported };  // unsupported: the kernel has no bridge family

// Both tables with their sets, chains and rules, inside a transaction that the caller began.
void addRuleset(Batch& batch, Ports ports);
// Names the ruleset by its content; it is the comment of both tables.
[[nodiscard]] std::string rulesetVersion();

}  // namespace cloister::network
