#include "controlplane/edge/domain_names.h"

#include <gtest/gtest.h>

namespace cloister::edge {
namespace {

TEST(DomainNames, WhatBelongsToNobodyOrToThePlatformMayNotBeAdded) {
  const DomainNames names({"apps.example.net", "Console.Example.Net", "127.0.0.1", ""});
  for (const char* host : {
           "com",
           "co.uk",
           "github.io",
           "herokuapp.com",
           "s3.amazonaws.com",
           "a.ck",  // public suffixes
           "apps.example.net",
           "shop.alice.apps.example.net",
           "console.example.net",
           "CONSOLE.EXAMPLE.NET",  // our own
           "localhost",
           "a.localhost",
           "printer.local",
           "metadata.google.internal",
           "x.internal",
           "a.lan",
           "1.0.0.127.in-addr.arpa",
           "x.onion",  // inside
           "metadata.goog",
           "a.metadata.goog",
           "metadata.azure.com",  // metadata
           "169.254.169.254",
           "127.0.0.0x1",
           "1.2.3.0xff",
           "[::1]",
           "::1",
           "10.1",  // addresses
           "",
       }) {
    EXPECT_FALSE(names.mayBeAdded(host)) << host;
  }
  for (const char* host : {"www.example.com", "example.com", "example.co.uk", "alice.github.io", "example.net",
                           "my-apps.example.net", "notlocalhost.example", "xn--bcher-kva.example", "a.0xff.example"}) {
    EXPECT_TRUE(names.mayBeAdded(host)) << host;
  }
}

}  // namespace
}  // namespace cloister::edge
