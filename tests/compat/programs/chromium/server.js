const puppeteer = require('puppeteer-core');
require('http').createServer(async (request, response) => {
  const browser = await puppeteer.launch({executablePath: '/usr/bin/chromium', headless: 'new', args: ['--no-sandbox']});
  const page = await browser.newPage();
  await page.setContent('<p>chromium says <script>document.write(6 * 7)</script></p>');
  response.end(await page.$eval('p', p => p.innerText) + '\n');
  await browser.close();
}).listen(process.env.PORT);
