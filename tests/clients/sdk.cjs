// One operation of the JavaScript SDK, version 3: `node sdk.cjs OPERATION JSON`. Credentials, endpoint and
// region are the environment's. Prints the answer as JSON; what is refused goes to standard error.
"use strict";

const fs = require("node:fs");
const sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const PRESIGNED_SECONDS = 60;

async function run(operation, { BodyFile, ToFile, options, ...input }) {
  const client = new sdk.S3Client({ forcePathStyle: true, maxAttempts: 1 });
  if (BodyFile) input.Body = fs.readFileSync(BodyFile);
  if (operation === "Presign") {
    const command = new sdk.GetObjectCommand(input);
    return { url: await getSignedUrl(client, command, { expiresIn: PRESIGNED_SECONDS }) };
  }
  if (operation === "Upload") {
    return await new Upload({ client, params: input, ...options }).done();
  }
  const answer = await client.send(new sdk[`${operation}Command`](input));
  if (ToFile) fs.writeFileSync(ToFile, await answer.Body.transformToByteArray());
  delete answer.Body;
  return answer;
}

run(process.argv[2], JSON.parse(process.argv[3])).then(
  (answer) => console.log(JSON.stringify(answer)),
  (error) => {
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
  },
);
