// What Swift cannot import of libpq by itself: literal macros, as constants.
#pragma once
#include <libpq-fe.h>

static const int REENCRYPT_DIAG_SEVERITY = PG_DIAG_SEVERITY_NONLOCALIZED;
static const int REENCRYPT_DIAG_SQLSTATE = PG_DIAG_SQLSTATE;
static const int REENCRYPT_DIAG_MESSAGE_PRIMARY = PG_DIAG_MESSAGE_PRIMARY;
static const int REENCRYPT_DIAG_SCHEMA_NAME = PG_DIAG_SCHEMA_NAME;
static const int REENCRYPT_DIAG_TABLE_NAME = PG_DIAG_TABLE_NAME;
static const int REENCRYPT_DIAG_COLUMN_NAME = PG_DIAG_COLUMN_NAME;
static const int REENCRYPT_DIAG_CONSTRAINT_NAME = PG_DIAG_CONSTRAINT_NAME;
