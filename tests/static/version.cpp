#include <limbeck/core/any_tensor.hpp>
#include <limbeck/version.hpp>

#include <concepts>
#include <string_view>

// The namespace, which cannot be made from the numbers, agrees with them.
#define LIMBECK_TEST_TEXT(x) #x
#define LIMBECK_TEST_NAMESPACE(major, minor) "v" LIMBECK_TEST_TEXT(major) "_" LIMBECK_TEST_TEXT(minor)
constexpr std::string_view space = LIMBECK_DETAIL_TEXT(LIMBECK_DETAIL_ABI),
                           expected = LIMBECK_TEST_NAMESPACE(LIMBECK_VERSION_MAJOR, LIMBECK_VERSION_MINOR);
static_assert(space.substr(0, expected.size()) == expected);
static_assert(std::same_as<limbeck::LIMBECK_DETAIL_ABI::any_tensor, limbeck::any_tensor>);

constexpr std::string_view text = LIMBECK_VERSION_STRING;
static_assert(text.front() - '0' == LIMBECK_VERSION_MAJOR && text.back() - '0' == LIMBECK_VERSION_PATCH % 10);
static_assert(LIMBECK_VERSION / 10000 == LIMBECK_VERSION_MAJOR && LIMBECK_VERSION % 100 == LIMBECK_VERSION_PATCH);
