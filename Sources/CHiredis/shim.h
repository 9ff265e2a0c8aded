// hiredis' formatter and reader, from 0.14 on. What Swift cannot write for both 0.14 and 1.x: a reader that
// refuses an array by its announced length. The default one allocates eight bytes an element as soon as it
// has read the header, so thirteen bytes from a hostile server cost gigabytes. And one by its depth: newer
// versions know no limit, and free a reply recursively.
#pragma once
#include <hiredis/hiredis.h>
#include <stdlib.h>

#if HIREDIS_MAJOR >= 1
typedef size_t reencrypt_element_count;
#else
typedef int reencrypt_element_count;
#endif

/// A reader and the table of functions it builds replies with: hiredis' own but for arrays.
typedef struct reencrypt_bounded_reader {
    redisReader *reader;
    redisReplyObjectFunctions functions;
    void *(*create_array)(const redisReadTask *, reencrypt_element_count);
    long long max_elements;
} reencrypt_bounded_reader;

/// Arrays within arrays; what 0.14 takes at most.
enum { REENCRYPT_MAX_DEPTH = 7 };

static void *reencrypt_create_bounded_array(const redisReadTask *task, reencrypt_element_count elements) {
    const reencrypt_bounded_reader *bounded = (const reencrypt_bounded_reader *)task->privdata;
    // 0.14 counts in int, where a greater announced length may have turned negative.
    if ((long long)elements < 0 || (long long)elements > bounded->max_elements) return NULL;
    int depth = 0;
    for (const redisReadTask *outer = task->parent; outer != NULL; outer = outer->parent) {
        if (++depth > REENCRYPT_MAX_DEPTH) return NULL;
    }
    return bounded->create_array(task, elements);
}

static inline void reencrypt_bounded_reader_free(reencrypt_bounded_reader *bounded) {
    if (bounded == NULL) return;
    if (bounded->reader != NULL) redisReaderFree(bounded->reader);
    free(bounded);
}

/// NULL where memory is out. A refused array is reported as REDIS_ERR_OOM.
static inline reencrypt_bounded_reader *reencrypt_bounded_reader_create(long long max_elements) {
    reencrypt_bounded_reader *bounded = (reencrypt_bounded_reader *)calloc(1, sizeof(*bounded));
    if (bounded == NULL) return NULL;
    bounded->reader = redisReaderCreate();
    if (bounded->reader == NULL) {
        free(bounded);
        return NULL;
    }
    bounded->max_elements = max_elements;
    bounded->functions = *bounded->reader->fn;
    bounded->create_array = bounded->functions.createArray;
    bounded->functions.createArray = reencrypt_create_bounded_array;
    bounded->reader->fn = &bounded->functions;
    bounded->reader->privdata = bounded;
    return bounded;
}
