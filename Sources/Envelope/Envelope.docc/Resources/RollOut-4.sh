# 4. Removed: `reencrypt-secrets verify` has said so.
SECRETS_ENCRYPTION_KEY=kek-v2:IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=
RENEW_SECRETS_ON_READ=1
