# A compiler cache, where there is one, whose entries serve a checkout in another folder too: paths below the
# checkout are hashed as relative ones, and the working folder is not. scripts/fuzz.sh sets the same.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")  # the sloppiness lets it keep precompiled headers
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()
