# Compiler options of every target, and the three ways to declare one.

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wno-missing-field-initializers
                    -fstack-protector-strong -fno-omit-frame-pointer)
add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)
if(LMTPD_WERROR)
  add_compile_options(-Werror)
endif()
if(LMTPD_SANITIZE)
  add_compile_options(-fsanitize=${LMTPD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LMTPD_SANITIZE})
  add_compile_definitions(LMTPD_SANITIZED)
endif()
if(LMTPD_TIDY)
  set(CMAKE_CXX_CLANG_TIDY clang-tidy-19 --quiet)
endif()
# Unity builds: presets that are for running or reading, not for shipping, compile eight files of a target as
# one, which halves their time and more. So names at a file's top are a target's: two files that
# each define a kRoot want one in a header, or two names. That each file includes what it uses is the other
# presets' to show. The files that CMake makes of them are no findings of clang-tidy's.
set(LMTPD_UNITY_BUILD_CODE_BEFORE_INCLUDE "// NOLINTNEXTLINE(bugprone-suspicious-include)")
define_property(TARGET PROPERTY UNITY_BUILD_CODE_BEFORE_INCLUDE
                INITIALIZE_FROM_VARIABLE LMTPD_UNITY_BUILD_CODE_BEFORE_INCLUDE)
if(LMTPD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A layer: a static library whose headers are included by their path from the top of the tree.
function(lmtpd_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
endfunction()

# A GoogleTest program. Each of its tests is a ctest of its own; all of them are one under a sanitizer, where
# the start of a program costs more than most tests, or where they are to be ONE. What runs THREADS is what
# ThreadSanitizer is for.
include(GoogleTest)
add_custom_target(threaded_tests)
function(lmtpd_test name)
  cmake_parse_arguments(ARG "ONE;THREADS" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  # In a unit of several files GoogleTest's headers are compiled once, which takes most of the time.
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests UNITY_BUILD ON)
  if(ARG_THREADS)
    add_dependencies(threaded_tests ${name})
    set(labels LABELS threads)
  endif()
  if(ARG_ONE OR LMTPD_SANITIZE)
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES TIMEOUT 600 ${labels})
  else()
    gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 120
                         PROPERTIES TIMEOUT 120 ${labels})
  endif()
endfunction()

# A libFuzzer program; contrib/test runs it on its seeds. The target `fuzzers` is all of them.
add_custom_target(fuzzers)
function(lmtpd_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(LMTPD_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LINKS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    add_dependencies(fuzzers ${name})
  endif()
endfunction()
