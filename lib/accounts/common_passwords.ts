/**
 * Passwords that attackers try first: those of eight or more characters that two published counts of leaked passwords both
 * have among their most frequent, in lower case. Shorter ones are refused for their length.
 */
const WORDS = `
!qaz2wsx .adgjmptw 01011980 01011981 01011984 01011985 01011986 01011987 01011988 01011990 01011991 01012000
01012010 01012011 01020304 0102030405 010203040506 01091989 0123654789 0147258369 01478520 0147852369 0147896325
0192837465 03082006 09051945 0987654321q 0o9i8u7y 0okm9ijn 0p9o8i7u 100200300 10203040 1020304050 102030405060
10293847 1029384756 11111111 11111111a 1111111a 1111111q 111111aa 1111122222 11112222 1111aaaa 1111qqqq 11121314
111222333 11223344 1122334455 112233445566 11235813 1123581321 12131415 1213141516 1223334444 12312312 123123123a
123123123q 123123321 12312345 123123456 123123qwe 1232323q 123321123 123321aa 123321qwe 12340987 12344321 12344321a
12344321q 1234509876 12345123 123454321 1234554321 12345600 12345612 123456123 12345654321 123456654321 12345671
12345677 12345678 123456780 123456781 123456788 123456789 123456789. 1234567890 12345678900 123456789000
12345678900987654321 1234567890987654321 1234567890a 1234567890q 1234567890z 1234567891 12345678910 123456789123
12345678987654321 1234567899 123456789987654321 123456789a 123456789aa 123456789abc 123456789as 123456789asd
123456789b 123456789c 123456789d 123456789e 123456789f 123456789g 123456789i 123456789j 123456789k 123456789l
123456789m 123456789n 123456789o 123456789p 123456789q 123456789qaz 123456789qw 123456789qwe 123456789qwerty
123456789r 123456789s 123456789t 123456789v 123456789w 123456789x 123456789y 123456789z 12345678a 12345678c
12345678d 12345678m 12345678q 12345678s 12345678z 12345679 123456798 1234567a 1234567b 1234567d 1234567j 1234567k
1234567l 1234567m 1234567q 1234567r 1234567s 1234567t 1234567u 1234567z 12345687 12345689 123456987 123456aa
123456aaa 123456ab 123456abc 123456as 123456asd 123456qaz 123456qq 123456qw 123456qwe 123456qwer 123456qwerty
123456ss 123456zx 123456zxc 123456zz 123459876 12345abc 12345abcd 12345abcde 12345asd 12345asdfg 12345qaz 12345qwe
12345qwer 12345qwert 12345qwerty 12345zxc 12345zxcvb 12346789 12348765 1234abcd 1234asdf 1234qwer 1234qwerty
1234rewq 1234zxcv 123581321 12365478 123654789 123654987 12369874 123698741 123698745 123789456 123987456 123abc123
123asd123 123hfjdk147 123mudar 123qazwsx 123qq123 123qwe123 123qwe456 123qweasd 123qweasdzxc 123qwert 123qwerty
124578963 12monkeys 12qw12qw 12qw34er 12qwaszx 12qwerty 12s3t4p55 13243546 13245768 132465798 134679258 134679852
13572468 1357908642 135792468 1357924680 135798642 14725836 147258369 1472583690 147258369a 147852369 14789632
147896321 147896325 14881488 15426378 159357258 159357456 159753123 159753258 159753456 159753852 159875321 18273645
18436572 19283746 192837465 19411945 1a2a3a4a 1a2a3a4a5a 1a2b3c4d 1a2b3c4d5e 1a2s3d4f 1a2s3d4f5g 1abcdefg 1andonly
1asshole 1bigdick 1brandon 1charlie 1chicken 1diamond 1freedom 1fuckyou 1jessica 1loveyou 1melissa 1michael 1million
1mustang 1newlife 1password 1q2q3q4q 1q2q3q4q5q 1q2w3e4r 1q2w3e4r5 1q2w3e4r5t 1q2w3e4r5t6y 1qa2ws3ed 1qay2wsx
1qaz!qaz 1qaz2wsx 1qaz2wsx3edc 1qaz2wsx3edc4rfv 1qaz@wsx 1qazxsw2 1qazxsw23edc 1qazzaq1 1qw23er4 1qwertyu 1william
1z2x3c4v 1z2x3c4v5b 1zxcvbnm 22334455 22446688 23jordan 23skidoo 24681012 246813579 25251325 25800852 25802580
2bornot2b 2children 2hot4you 2w3e4r5t 2wsx3edc 2wsxzaq1 31415926 3141592654 321456987 321654987 326159487 333666999
369258147 369852147 3edc4rfv 3rjs1la7qe 3syqo15hil 40028922 44332211 456123789 456789123 4815162342 4me2know
4rfv5tgb 55667788 5hsu75kpot 67camaro 68camaro 69camaro 73501505 74108520 74123698 741236985 741258963 741852963
7418529630 748159263 7777777a 777888999 789123456 78945612 789456123 7894561230 789456123a 78963214 789632145
789654123 794613852 7elephants 7ugd5hip2j 87654321q 8phrowz624 911turbo 918273645 9293709b13 963258741 963852741
9638527410 987412365 987456321 987654321a 987654321q 99887766 a1234567 a12345678 a123456789 a1234567890 a123456a
a1a2a3a4 a1a2a3a4a5 a1b2c3d4 a1b2c3d4e5 a1s2d3f4 a1s2d3f4g5 a7777777 a987654321 aa123123 aa123456 aaa123456 aaaa1111
aaaaaaa1 aardvark aaron123 ab123456 abc12345 abc123456 abc123456789 abc123abc abcd1234 abcd12345 abcde123 abcde12345
abcdef12 abcdef123 abcdefg1 aberdeen abhishek abigail1 abracadabra abrakadabra acapulco account1 achilles adam1234
adgjmptw admin123 adrenalin adriana1 adrianna1 aerosmith afrodita agent007 agnieszka airborne airforce airforce1
airplane aishiteru aishwarya akatsuki alabama1 albatros alberto1 alcatraz aleksander aleksandr aleksandra alemania
alessandro alex1234 alex2000 alexander1 alexandr alexandra1 alexandre alexandru alexis01 alfaromeo alfredo1 alicante
alice123 aligator allen123 alleycat alligator allison1 allstar1 alohomora alpacino alpha123 alphabet alterego
alucard1 amanda01 amanda11 amanda12 amanda123 amanda69 amandine amarillo amazing1 amber123 america1 america2
amethyst amorcito amoremio amsterdam amsterdam1 anaconda anakonda anarchy1 anastasiya anatoliy andre123 andrea12
andreas1 andrew01 andrew10 andrew11 andrew12 andrew123 andrew13 andrew22 andrew23 andromeda angel123 angel666
angel777 angela12 angeleyes angelito anhyeuem animals1 anime123 annette1 annie123 another1 anthony1 anthony2
anthony3 anthony4 anthony5 anthony7 anthony8 anthony9 antivirus anton123 antonella antonia1 antonio1 antonio2
anuradha apollo11 apollo13 apple123 applepie apples12 apples123 applesauce aq1sw2de3 aquarius aqwzsxedc arabella
aragorn1 arcangel archangel arianna1 arizona1 armageddon armagedon arschloch arsenal1 arsenal123 arsenalfc as123456
asd12345 asd123456 asd123asd asdasd12 asdasd123 asdf1234 asdf12345 asdfasdf asdfasdf1 asdffdsa asdfg123 asdfg12345
asdfgh01 asdfgh12 asdfgh123 asdfghj1 asdfghjk asdfghjkl asdfghjkl1 asdfghjkl123 asdfjkl1 asdfjkl; asdfqwer asdfzxcv
asdqwe123 asdzxc123 ashley01 ashley11 ashley12 ashley123 ashley69 aspirine assassin asshole1 asshole123 asshole2
asshole3 assholes astalavista astonmartin astonvilla astroboy atlanta1 atlantis august10 august11 august12 august15
august16 august17 august20 august22 august24 august25 august29 august31 aurelien austin01 austin11 austin12
austin123 austin316 australia1 avalanche avemaria aventura avrillavigne awesome1 awesome123 awesome2 az123456
azerty12 azerty123 azertyui azertyuiop azsxdcfv b1234567 baby1234 babybear babyblue babyboy1 babycakes babydoll
babyface babygirl babygirl1 babygurl babylon5 babylove babyphat bacardi1 backspace bailey01 bailey11 bailey12
bajingan baller23 banana12 bananas1 bandit01 bandit12 banshee1 baracuda barakuda barbados barbara1 barcelona
baritone barkley1 barracuda barselona baseba11 baseball baseball1 baseball11 baseball12 baseball2 baseball3
baseball7 baseball9 basketball1 bassman1 bastard1 bastardo batman01 batman11 batman12 batman123 batman13 batman23
batman69 beachbum beaches1 bearshare beast123 beatles1 beautiful1 beckham23 beckham7 beefcake belinda1 bella123
beloved1 bengals1 benjamin1 bennett1 bentley1 bergkamp bernard1 besiktas bestfriend bethany1 bettyboop beverly1
beyblade bigballs bigbird1 bigboobs bigboy12 bigdaddy bigdaddy1 bigdick1 bigfoot1 bigmoney bigpimpin bigsexy1
bigtits1 billabong billy123 billybob billyboy bingo123 biohazard bionicle birdhouse birdman1 birthday1 biscuit1
bismilah bismillah bitch123 bitchass bitches1 biteme69 black123 black666 blackbelt blackberry blackbird blackcat
blackdog blackhawk blackie1 blackjack blackops blackout blackrose blackstar blade123 blahblah blaster1 blaze420
blessed1 blessing blingbling blink182 blizzard blondie1 blood123 blowjob1 blowme69 blue1234 bluebell bluebird
bluedog1 blueeyes bluefish bluemoon bluerose bluesky1 bluestar blunt420 bob12345 bobafett bobby123 bobdylan
bobmarley bollocks bologna1 bonehead bonjour1 boobear1 boobies1 boobies2 booboo11 booboo12 bookmark bookworm
boomboom boomer12 borabora bordeaux borussia bouboule bowling1 br00klyn bradley1 bradpitt brandon1 brandon2 brandon3
brandon7 brandy12 braveheart braves10 breakdance brendan1 brennan1 bretagne brian123 brianna1 bridget1 brighton
britney1 brittany1 broncos1 broncos7 brooklyn brooklyn1 brother1 brother2 browneyes brownie1 brucelee bruiser1
bruno123 bryan123 bubba123 bubblegum bubbles1 bubbles2 buckeye1 buckeyes buckshot buckwheat budapest buddy123
buddyboy buddydog budlight budweiser buffalo1 buffy123 bugsbunny bulldog1 bulldogs bullfrog bullseye bullshit
bumblebee bunghole bunnies1 bunny123 buster01 buster11 buster12 buster123 buttercup butterfly butterfly1 butthead
butthole buttons1 bynthytn c3por2d2 c43qpul5rz cachorro cadillac caitlin1 caliente calimero callofduty camaro69
camaroz28 cambiami cameron1 cameron2 camilla1 camille1 candy123 candycane candyman cannabis cannelle cannibal
cantona7 capetown capital1 capoeira capricorn capslock captain1 caramelo cardinal carebear carlitos carlos12
carlos123 carlton1 carnival carolina carolina1 caroline1 carolyn1 carpediem carter15 cartman1 casablanca casanova
casey123 cashmoney casper12 casper123 cassidy1 cassie12 catfish1 catlover catwoman cavalier cbr600rr cbr900rr
cdtnkfyf cecilia1 celeste1 cellphone celtic1888 celtic67 celticfc celtics1 central1 centrino cerberus cfitymrf
chainsaw champion changeme changeme1 charger1 chargers chargers1 charisma charles1 charles2 charlie1 charlie123
charlie2 charlie3 charlie4 charlie5 charlie7 charlton charmed1 chase123 checkers cheese12 cheetah1 chelsea1 chelsea2
chelsea7 chelsea8 chelseafc cherokee cherries cherry12 chester1 chester2 chevelle chevrolet chevy350 chevys10
chevyz71 chewbacca cheyanne cheyenne cheyenne1 chicago1 chicken1 chicken123 chicken2 chickens chico123 children2
chipmunk chipper1 chitarra chloe123 choclate chocolat chocolate1 choochoo chopper1 chris123 chrisbrown chrissy1
christian1 christin christophe christopher1 christy1 chronic1 chrysler chuckie1 chuckles cinnamon cjkysirj clarinet
clarisse classic1 claudia1 clayton1 clemence clemson1 clinton1 cnfybckfd cocacola cocacola1 cocksucker cocoloco
coldplay coleman1 colleen1 college1 collins1 colombia colorado coltrane combat123654 comcast1 commando compaq12
compaq123 computador computadora computer computer1 concorde concrete connect1 contrasena control1 cookie11 cookie12
cookie123 cookie13 cookies1 cool1234 coolbeans cooldude coolgirl coolguy1 coolman1 coolness cooper12 corleone
corvette corvette1 costarica cosworth cougars1 counter1 counterstrike country1 courtney1 coventry cowboys1 cowboys2
cowboyup cracker1 crackhead crazy123 crazyman creative creative1 crescent crevette cricket1 crimson1 cristiano
critter1 crjhgbjy cronaldo crusader cruzazul crystal1 crystal2 cubbies1 cucciolo cucumber cuddles1 cupcake1 curious1
cutegirl cutiepie cvbhyjdf cvzefh1gkc cxfcnkbdfz cynthia1 d1234567 d1lakiss daddy123 daddysgirl daffodil daisy123
daisydog daisymae daisymay dakota01 dakota12 dalejr88 dallas01 dallas12 dallas22 damilola dance123 daniel01 daniel10
daniel11 daniel12 daniel123 daniel21 daniela1 danielle1 danny123 dannyboy dantheman daredevil darkangel darkknight
darklord darkness darkness1 darkside darkstar darling1 darthvader david123 davidoff daytona1 dbrnjhbz deadhead
deadman1 deadmau5 deadpool death123 death666 deathnote deborah1 december1 deerhunter deeznuts deeznutz defender
deftones delpiero demon123 demon666 denis123 depechemode derparol derrick1 desember designer desperado destinee
destiny1 destiny2 destiny7 detroit1 deutschland devil123 devil666 devildog devilmaycry dfcbkbcf dfktynby dfktynbyf
diablo666 diamante diamond1 diamond2 diamond3 diamond7 diamonds diana123 dickhead diego123 dietcoke digital1
dilbert1 dilligaf dingdong dinosaur dirtbike discover dkflbckfd dkflbvbh doberman dodgeram dodgers1 doggy123
doggystyle doghouse doglover dolphin1 dolphin2 dolphins dolphins1 domenico dominator dominic1 dominika dominion
donaldduck dont4get dontknow doomsday doraemon dorothy1 dortmund doughboy douglas1 dracula1 dragon01 dragon10
dragon11 dragon12 dragon123 dragon13 dragon21 dragon22 dragon23 dragon666 dragon69 dragon76 dragon77 dragon88
dragon99 dragonball dragonballz dragonfire dragonfly dragons1 dragoon1 dreamcast dreamer1 dreamgirl drjynfrnt
dropdead drowssap drpepper drummer1 dthjybrf dtxyjcnm duchess1 dumbass1 duncan21 durango1 dusty123 dutchess dynamite
eagles12 eastside eastwood eatpussy eatshit1 eclipse1 eddie123 eduardo1 edward12 edwards1 eggplant eightball
einstein ekaterina eldorado eleanor1 electric electron elefante element1 elephant elephant1 eleven11 elizabet
elizabeth1 elizaveta elliott1 elvis123 emachines emanuela emanuele emerald1 emerson1 emiliano emily123 eminem12
emmitt22 engineer england1 english1 enrique1 enter123 enterprise ericsson escalade escorpion eternal1 eternity
evanescence evangelion everlast everton1 evgeniya excalibur explorer explorer1 express1 extreme1 f00tball fabienne
fabolous fabregas faith123 falcons1 fallout3 falloutboy family01 familyguy fantasia fantasma fantasy1 fantasy7
fantomas farfalla fathead1 fcbarcelona fcbayern fearless feather1 feathers federica felicia1 felicidade felix123
fenerbahce ferrari1 feuerwehr feyenoord fgtkmcby fidelity fifa2010 fightclub fighter1 finalfantasy fireball firebird
fireblade firefighter firefly1 fireman1 firestorm firewall fishbone fisherman fishing1 fishtank fitness1 fivestar
fkbyjxrf fktrcfylh fktrcfylhf fktyeirf flamengo flamingo flash123 flipflop flipper1 florian1 florida1 florida2
flounder flower12 flowers1 football football1 football12 football123 football2 fordf150 fordf250 fordf350 fordfocus
forever1 forever21 forgetit formula1 forrest1 forsaken forzaroma fourkids foxylady frances1 francis1 frank123
frankie1 freckles fred1234 freddie1 frederik freebird freedom1 freedom2 freedom7 freeman1 freestuff freeway1
freiheit friday13 friends1 friendster frogger1 front242 frontier fuck1234 fucker12 fucker69 fuckface fucking1
fucklife fucklove fuckme69 fuckmehard fuckmylife fuckoff1 fuckoff2 fuckshit fuckthis fuckyou! fuckyou0 fuckyou1
fuckyou12 fuckyou123 fuckyou2 fuckyou6 fuckyou69 fuckyou7 fuckyou8 fullmetal fullmoon fussball futurama futyn007
fyfcnfcbz fyfnjkbq fyutkbyf fyutkjxtr gabriel1 gabriel2 galatasaray gamecube gameover gandalf1 gangbang gangsta1
gangster gangster1 garbage1 gardenia garfield garfield1 garrett1 gateway1 gateway2 gatorade gayathri gbgbcmrf
gbhfvblf gcheckout general1 genesis1 george01 george11 george12 georgia1 germania germany1 geronimo gerrard8
getmoney gfgfvfvf gfhjkm123 gfhjkmgfhjkm ghbdtn123 ghbdtnbr ghbdtnrfrltkf ghblehjr ghbywtccf ghhh47hj7649 ghjcnjnfr
ghjdthrf ghjnjnbg ghjuhfvvf ghost123 ghostrider giancarlo gianluca gigabyte gilbert1 ginger11 ginger12 ginger123
giuliana gizmo123 gladiator godbless goddess1 godfather godisgood godisgreat godislove godofwar godslove godsmack
godspeed godzilla gogators goldeneye goldfinger goldfish goldstar goldwing golfball golfclub golfing1 goodbye1
goodgirl goodlife goodluck goodmorning goodnews goodtime goodtimes google12 google123 gordon24 gorilla1 gorillaz
gotohell grace123 grandma1 greatone greedisgood green123 green420 greenbay greenday greenday1 greeneyes greentea
gregory1 griffin1 grizzly1 groupd2013 gsxr1000 gtnhjdbx guardian guesswho guilherme guinness guinness1 guitar12
guitarra gunners1 gustavo1 gymnast1 halflife halflife2 hallo123 haloreach hamburg1 hammers1 hamster1 handball
handyman hannah01 hannah11 hannah12 hannibal hannover happy123 happyday happydays hardcore hardcore1 hardrock
hardwork harley01 harley11 harley12 harley69 harmony1 harrison1 harry123 harrypotter hawaii50 hawaiian hawkeye1
hawkeyes hayabusa headshot heather1 heather2 heavymetal hedgehog heineken hellfire hello101 hello123 hello1234
hellokitty hellomoto hellothere helloworld hellraiser hellsing hellyeah hendrix1 henrique henry123 herbert1 hercules
hermione hershey1 heythere highheel highland highlander hillary1 hillside history1 hithere1 hitman47 hockey10
hockey11 hockey12 hockey123 hockey13 hockey14 hockey19 hockey21 hockey22 hockey99 hogwarts holiday1 holland1
hollister1 holly123 hollywood1 holyshit homer123 homerun1 honda123 honda250 honda450 hondacbr hondacivic honey123
honeybear honeybee honeybun hongkong honolulu hooligan hooters1 hopeful1 hotchick hotsauce hotshot1 hotstuff
hotwheels house123 houston1 htubcnhfwbz hugoboss hummerh2 hunter01 hunter11 hunter12 hunter123 hunter22 hunter99
hunting1 huskers1 huskies1 hustler1 iamhappy iamtheone icecream icehouse idontcare idontknow iforgot1 ihateyou
ihateyou1 ijrjkflrf ilikepie ilikesex ilikeyou illuminati illusion ilovegirls ilovegod iloveher ilovehim ilovejesus
ilovelife ilovelucy iloveme1 iloveme2 ilovemom ilovemusic ilovemyfamily ilovemylife ilovemyself ilovepussy ilovesex
iloveyou iloveyou! iloveyou1 iloveyou11 iloveyou12 iloveyou123 iloveyou2 imagine1 imissyou immortal incognito
incubus1 india123 indiana1 indians1 inferno1 infiniti infinity ingodwetrust insomnia inspiron integra1 intermilan
internet internet1 intrepid intruder inuyasha ireland1 ironmaiden ironman1 isabella1 istanbul italian1 italiano
iverson3 izabella j1234567 jack1234 jackass1 jackpot1 jackson1 jackson2 jackson5 jacob123 jadakiss jaimatadi
jake1234 jamaica1 james007 james123 jamesbond jamesbond007 jamie123 january1 jasmine1 jasmine123 jasmine2 jasmine3
jasmine5 jasmine7 jason123 jasper12 jayhawks jeffery1 jeffhardy jeffrey1 jellybean jennifer1 jenny123 jericho1
jeronimo jesse123 jessica1 jessica2 jessica3 jessica7 jessica8 jesus123 jesus4me jesus777 jesuschris jesuschrist
jesusis1 jesusislord jesussaves jg3h4hfn jillian1 jimmy123 johanna1 johannes john1234 johncena johndeere johnny12
johnpaul johnson1 joker123 jonathan1 jordan01 jordan10 jordan11 jordan12 jordan123 jordan22 jordan23 jordan45
jordan99 joselito joseluis joseph11 joseph12 joshua01 joshua10 joshua11 joshua12 journey1 juancarlos juanjose
juggalo1 julia123 julie123 jumpman23 junebug1 junior01 junior12 junior123 junior13 junkmail jupiter1 just4fun
just4you justdoit justice1 justin01 justin10 justin11 justin12 justin123 justinbieber justine1 juventus k1234567
k123456789 kakaroto kakashka kamasutra kamehameha kamikadze kamikaze kangaroo karen123 karolina karolina1 katarina
katerina kathryn1 katie123 katrina1 kawasaki kayla123 kazantip kelly123 kendall1 kennedy1 kenneth1 kennwort kenny123
kenshin1 kenworth kevin123 keyboard keystone kfcnjxrf khongbiet kickass1 kickflip killbill killemall killer01
killer11 killer12 killer123 killer13 killer23 killer666 killer69 killer99 killerman killzone kimberly1 king1234
kingdom1 kingfish kingfisher kingkong kingston kirsten1 kissmyass kitty123 kittycat kittykat kjrjvjnbd klapaucius
kleopatra knights1 knuckles kobebryant kochamcie kochanie kokakola kolawole komputer konfetka konstantin koroleva
krasotka kristen1 kristin1 kristina1 krokodil kumar123 kurtcobain kurwamac labrador lacrimosa lacrosse ladybird
ladybug1 ladygaga laetitia lakers08 lakers24 lakers32 lakeside lakewood lalakers lalaland lamborghini lancelot
landrover lapochka laracroft larry123 lasvegas laura123 lauren12 lavalamp leavemealone lebron23 ledzeppelin leedsutd
left4dead legolas1 lemonade lenochka leonard1 leonardo1 leonidas lesbian1 lespaul1 letmein1 letmein2 letmeinnow
lexmark1 lfitymrf libertad liberty1 licorice lifeisgood lifesucks lightning lillian1 lilwayne limpbizkit lincoln1
linda123 lindsay1 lindsey1 lineage2 linkinpark lionheart lionking littlebit littlegirl littleman littleone livelife
liverp00l liverpool liverpool1 liverpoolfc livestrong lizottes ljxtymrf lobster1 logan123 logitech logitech1
lokomotiv lol12345 lol123456 lollipop lollol123 lollypop london01 london11 london12 london123 london22 lonestar
lonewolf longbeach longhorn longhorns lonsdale lookatme looking1 loredana lorenzo1 losangeles loser123 lotus123
love1234 love2000 love2010 love2011 love4ever love4you love5683 loveable lovebird loveforever lovehate lovehurts
loveislife lovelife lover123 loverboy lovergirl loverman lovestory loveyou1 loveyou2 lowrider lucas123 lucifer1
lucifer666 lucky123 lucky777 luckyboy luckydog ludacris lukas123 lzhan16889 m1234567 m123456789 macarena macaroni
macdaddy machine1 macintosh madagaskar madalina maddison madinina madison1 madison2 madison3 madness1 madonna1
maggie11 maggie12 magic123 magical1 magician magicman mahalkita maiyeuem majestic makaveli makemoney makenzie
maksimka malcolm1 malishka mallorca mama1234 mamacita mamapapa mamasita mamma123 mammamia mamochka manager1
manchester manchester1 mancity1 mandarin mandingo mandrake mandy123 manning18 manolito manunited maprchem56458
maradona marathon marbella marcello marco123 marcopolo margaret1 maria123 mariana1 marie123 marigold marihuana
marijuana marilena marilyn1 marina123 mariners marines1 marino13 mario123 mariposa marishka marissa1 mark1234
marlboro marlboro1 married1 marseille martin12 martina1 martini1 maryann1 maryjane masamune maserati mash4077
mason123 master01 master11 master12 master123 master13 master69 masterkey mastermind masters1 matahari matematica
matematika matilda1 matrix123 matt1234 matthew1 matthew2 matthew3 matthew4 matthew5 matthew7 matthias matthieu
maureen1 maurice1 maurizio maverick maverick1 maximilian maximus1 maxpayne maxpower maxwell1 maynard1 mazafaka
mazda323 mazda626 mazdarx7 mazdarx8 mcdonalds mclarenf1 meandyou meatball meathead meatloaf mechanic medical1
medicina megadeth megaman1 megan123 megatron melanie1 melinda1 melissa1 melissa2 memphis1 meowmeow mephisto mercedes
mercedes1 mercury1 meridian mermaid1 mersedes messiah1 metal123 metal666 metalgear metalica metallic metallica
metallica1 mexican1 miami305 michael1 michael12 michael123 michael2 michael3 michael4 michael5 michael6 michael7
michael8 michael9 michaeljackson michele1 michelle1 michigan mickey01 mickey11 mickey12 mickeymouse microlab
microsoft midnight midnight1 mike1234 mikey123 milashka milkyway millenium million1 millwall minecraft minecraft123
minhasenha miniclip minicooper minouche miracle1 miranda1 miroslav mischief misfits1 misiaczek mission1 misskitty
missy123 misterio mistress misty123 mittens1 mnbvcxz1 mojojojo molly123 mollydog momanddad mommy123 momoney1
monalisa monamour money100 money123 money1234 money4me moneymaker moneyman mongoose monica12 monique1 monitor1
monkey01 monkey10 monkey11 monkey12 monkey123 monkey13 monkey14 monkey21 monkey22 monkey23 monkey24 monkey69
monkey77 monkey99 monkeyboy monkeybutt monkeyman monkeys1 monopoly monster1 monster2 monster7 montagne montana1
montecarlo montreal moonbeam moonlight moonshine moonstar moose123 moremoney morgan01 morgan12 morpheus morrowind
mortgage mortimer mostwanted motdepasse mother12 motherfuck motherlode motocross motorbike motorhead motorola
mountain mouse123 mudvayne muffin12 multiplelog munchkin murcielago mushroom music101 music123 musical1 musiclover
musicman mustang1 mustang2 mustang5 mustang67 mustang69 mustang7 mustangs mustard1 my2girls my3girls myfamily
myfriend mymother mynameis mypassword mysecret myspace1 mysterio mystery1 nancy123 naruto12 naruto123 nascar20
nascar24 nascar88 nastenka natalia1 natalie1 nataliya natascha natasha1 nathan01 nathan12 natural1 naughty1 nautilus
navigator nazareth ncc1701a ncc1701d ncc1701e ncc74656 nebraska need4speed needajob needforspeed nefertiti nemesis1
network1 neveragain nevergiveup neverland nevermind nevermore newjersey newlife1 neworleans newpass1 newpassword
newport1 newstart newyork1 newyork2 newzealand nicholas1 nick1234 nicolas1 nicole01 nicole11 nicole12 nicole123
nicole18 nicole23 nigger123 nightwish nikita123 nikki123 ninja123 nintendo nintendo1 nintendo64 nirvana1 nissan350z
noisette nokia123 nokia3250 nokia3310 nokia5130 nokia5200 nokia5230 nokia5300 nokia5310 nokia5530 nokia5800
nokia6230 nokia6233 nokia6300 nokian70 nokian73 nokian95 noodles1 nopassword nosferatu notebook nothing1 notredame
nounours novembre ntktdbpjh nuggets1 nuttertools nwo4life oakland1 oblivion oceans11 october1 october2 october3
october6 october7 october8 ohiostate oldschool omsairam onelove1 onepiece onetwo12 opelastra opensesame operator
optimus1 orange11 orange12 orange22 oranges1 oriflame orlando1 oscar123 overkill overlord p0o9i8u7 p455w0rd p4ssw0rd
p4ssword p@ssw0rd pa55w0rd pa55word pablo123 packard1 packers1 packers4 painkiller paintball paintball1 painter1
pakistan pakistan1 paladin1 pallmall palmeiras palmtree panasonic pancake1 panchito panda123 pandabear pandora1
panorama pantera1 panther1 panthers panthers1 papabear papamama paperino papillon paradise paramedic paramore
paris123 parlament parolamea partizan pasadena pass1234 pass1word passcode passion1 passions passport passw0rd
passw0rd1 passward password password! password0 password00 password01 password1 password10 password11 password12
password123 password1234 password13 password2 password21 password22 password23 password3 password4 password5
password6 password69 password7 password8 password9 password99 passwords passwort pasword1 patatina patches1
pathfinder patricio patrick1 patrick2 patrick7 patriot1 patriots patriots1 patrizia paulina1 pavilion payton34
peace123 peaceout peaches1 peaches2 peanut11 peanut12 peanutbutter peanuts1 pearljam pebbles1 pedro123 peekaboo
pegasus1 penguin1 penguins penis123 pennstate penny123 pennywise pentium4 pepper01 pepper11 pepper12 pepper123
pepsi123 pepsicola perfect1 peter123 peterbilt peterpan peyton18 phantom1 pharmacy philippe philips1 phillies
phillip1 phoenix1 picasso1 piccolo1 pickles1 picture1 pikachu1 pimpdaddy pimpin69 pineapple pineapple1 pingpong
pinguino pinkfloyd pinky123 pioneer1 pipeline pippen33 piramida piramide pirates1 pistache pistons1 pitbull1
pizza123 pizzahut plastic1 platinum platypus playboy1 playboy2 player69 playgirl playstation playstation2
playstation3 playtime plumber1 plymouth poiu0987 poiuytrewq pokemon1 pokemon12 pokemon123 pokemon2 poker123
pokerface polarbear polaris1 polniypizdec0211 polniypizdec110211 pontiac1 poochie1 poohbear poohbear1 poophead
popcorn1 poppy123 porkchop pornstar porsche1 porsche911 portland portugal poseidon positivo poulette power123
powerman pr1ncess prashant preacher preciosa precious precious1 predator prelude1 presario preston1 prettyboy
prettygirl primavera primrose prince12 princesa princess princess1 princessa princesse principe pringles printer1
private1 priyanka prodigy1 project1 proverbs pudding1 puertorico pumpkin1 pumpkin2 pumpkins punisher punkrock
puppydog purple01 purple11 purple12 purple13 purple69 pussy101 pussy123 pussycat putangina pyramid1 q1234567
q12345678 q123456789 q1q2q3q4 q1q2q3q4q5 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 q1w2e3r4t5y6u7i8o9p0 q2w3e4r5 qawsed123
qawsedrf qawsedrftg qaz12345 qaz123456 qaz123wsx qazwsx11 qazwsx12 qazwsx123 qazwsx1234 qazwsxed qazwsxedc
qazwsxedc1 qazwsxedc123 qazwsxedcrfv qazwsxedcrfvtgb qazxsw12 qazxsw123 qazxswedc qazxswedcvfr qpwoeiruty qq123123
qq123456 qq123456789 qqqq1111 quality1 queenbee quicksilver quiksilver qw123456 qwaszx12 qwaszx123 qwe123456
qwe123asd qwe123qwe qweasd12 qweasd123 qweasdzxc qweasdzxc1 qweasdzxc123 qwedsazxc qweqwe123 qwer1234 qwer12345
qwer4321 qwerasdf qwerasdfzxcv qwerfdsa qwert123 qwert1234 qwert12345 qwert54321 qwertasdfg qwerty00 qwerty01
qwerty10 qwerty11 qwerty111 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwerty123456789 qwerty13 qwerty21
qwerty22 qwerty23 qwerty321 qwerty66 qwerty666 qwerty69 qwerty77 qwerty777 qwerty78 qwerty789 qwerty88 qwerty99
qwertyasd qwertyasdfgh qwertyu1 qwertyu123 qwertyu8 qwertyui qwertyuio qwertyuiop qwertyuiop1 qwertyuiop12
qwertyuiop123 qwertyytrewq qwertzui qwertzuiop r1234567 r2d2c3po r4e3w2q1 racecar1 rachael1 radiohead raffaele
ragnarok raiders1 raiders2 rainbow1 rainbow2 rainbow6 rainbow7 rainbows raindrop raistlin rambo123 rammstein
rammstein1 random123 rangerover rangers1 rasengan rasputin rastafari rastaman raven123 raymond1 rb26dett rdfhnbhf
ready2go realmadrid rebecca1 red12345 redalert redbull1 reddevil reddragon redfish1 redhead1 redhorse redneck1
redroses redskins redskins1 redsox04 redsox12 redwings redwings1 reglisse reloaded renegade residentevil revolver
rfhfvtkmrf rfhfylfi rfhnjirf rfnthbyf rfntymrf rfvfcenhf rhbcnbyf rhfcfdbwf rhfcjnrf rhjrjlbk ricardo1 riccardo
richard1 richard2 riverplate rjhjktdf rjyatnrf rjycnfynby rktjgfnhf roadkill roadking roadrunner robert01 robert11
robert12 robert123 robert22 roberta1 roberto1 roberts1 robin123 robinhood robotech robotics rocketman rockets1
rockford rocknroll rockstar rockstar1 rocky123 roger123 rolltide rolltide1 romance1 romashka romeo123 ronaldinho
ronaldo1 ronaldo7 ronaldo9 rooney10 rooster1 rootbeer rosebud1 rossella roxanne1 runescape runescape1 running1
rush2112 russell1 rusty123 s1234567 s12345678 s123456789 sabbath1 sabrina1 sailboat sailing1 sailormoon salamander
salamandra salasana sally123 samantha samantha1 sammy123 sampson1 samsung1 samsung123 samsung2 samuel12 samurai1
sanandreas sanchez1 sanders1 sandiego sandman1 sandrine sandy123 sangeeta santana1 saopaulo sapphire sarah123
sarajevo saratoga sasha123 sassy123 satan666 sausage1 sausages savannah1 sayangku scarface scarface1 scarlet1
schalke04 scheisse schnecke school12 science1 scooby12 scoobydoo scooter1 scooter2 scorpio1 scorpion scorpions
scotland scott123 scottie1 scrabble scrappy1 scruffy1 seahawks seahorse seatleon seattle1 sebastian1 sebastien
secret12 secret123 security security1 seinfeld seminole seminoles semperfi senha123 sentinel sephiroth sepultura
serendipity serenity service1 seven777 severine sexy1234 sexybabe sexybaby sexybeast sexybitch sexygirl sexylady
sexylove sexymama sexyred1 shadow01 shadow10 shadow11 shadow12 shadow123 shadow13 shadow14 shadow22 shadow23
shadow69 shadow99 shadows1 shahrukh shamrock shane123 shaney14 shannon1 shannon2 sharingan shashank shearer9
sheldon1 shelley1 sherlock sherman1 shevchenko shinigami shirley1 shitface shithead shithead1 shooter1 shopping1
shotgun1 shotokan showtime sidekick siemens1 silver12 silverado simba123 simon123 simpleplan simpson1 simpsons
sinister sithlord sk84life sk8board sk8ordie skate123 skateboard skeeter1 skinhead skipper1 skittles skorpion
skyline1 skywalker slamdunk slapshot slayer666 slimshady slipknot slipknot1 slipknot666 smackdown smallville
smarties smashing smile123 smile4me smirnoff smirnova smith123 smoke420 smokeweed smokey01 smokey12 snake123
snapper1 sneakers snickers snickers1 snoopdog snoopdogg snoopy12 snowball snowball1 snowboard snowflake snowman1
snowwhite snuggles snuggles1 soccer09 soccer10 soccer11 soccer12 soccer123 soccer13 soccer14 soccer15 soccer16
soccer17 soccer18 soccer19 soccer20 soccer21 soccer22 soccer33 soccer69 soccer77 soccer99 socrates softball
softball1 software sojdlg123aljg sokolova soldier1 solidsnake solitude solnishko solomon1 something1 songbird
sonic123 sonnenschein sonyericsson sonyvaio sooners1 sophie01 sophie12 soulmate southpark southside spaceman
sparkle1 sparkles sparky12 sparrow1 spartan1 spartan117 spartans speaker1 special1 specialk spectrum spencer1
spider12 spiderman spiderman1 spiderman3 spike123 spitfire splinter spongebob sprinter squirrel srilanka srinivas
stalker1 stallion stanislav stanley1 staples1 star1234 starbuck starbucks starcraft stardust starfire starfish
stargate stargazer stargirl starlight starship start123 startrek startrek1 starwars starwars1 stealth1 steelers
steelers1 stellina steph123 stephen1 steve123 stewart1 stigmata stinger1 stingray stinker1 stonecold strange1
stranger stratfor stratocaster strawberry striker1 student1 studio54 stupid12 sublime1 success1 suckit69 suckmydick
sugarbear summer00 summer01 summer05 summer06 summer07 summer08 summer10 summer11 summer12 summer13 summer22
summer69 summer99 summertime sundance sunflower sunlight sunny123 sunnyday sunrise1 sunsh1ne sunshine sunshine1
super123 superboy superduper superfly supergirl superman superman1 superman12 superman123 superman2 supermanboy
supermario supernova supersonic superstar sureno13 surfing1 survivor suzanne1 svetlana sweet123 sweet666 sweetgirl
sweetie1 sweetness sweetpea swimmer1 swimming swordfish syncmaster syracuse system32 tacobell taekwondo tajmahal
talisman tangerine tarheel1 tarheels tatiana1 taylor01 taylor11 taylor12 tazmania teacher1 techn9ne technics
tecktonik teddy123 teddybear teiubesc telecaster telefono televizor temitope temp1234 temppass temppassword tenerife
tennis12 tequiero tequila1 terminator terrell1 test1234 testing1 testing123 testpass texas123 thailand thankgod
thankyou thebeast thebeatles thedoors thegame1 thegreat theking1 themaster thematrix theresa1 therock1 thesims2
thirteen thisisit thisisme thissucks thomas01 thomas10 thomas11 thomas12 thomas123 thomas13 thuglife thumper1
thunder1 thunder2 thunderbird tiffany1 tiffany2 tiger123 tigers12 tigerwoods tigger01 tigger11 tigger12 tigger13
tigger69 timberland timepass timmy123 timothy1 timoxa94 tinkerbell titanic1 titanium titleist tkbpfdtnf tokiohotel
tommy123 tommyboy tonyhawk toonarmy tootsie1 topolino topsecret toriamos tornado1 toronto1 tortoise toshiba1
tottenham toulouse tracker1 transam1 traveler treasure treefrog trfnthbyf triangle tricolor triforce trigger1
trinitron trinity1 trinity3 triplets tristan1 trojans1 trombone trooper1 trouble1 trouble2 trucker1 trueblue
truelove trumpet1 trustno1 trustnoone tryagain tuesday1 tunafish twilight twisted1 tyler123 tyson123 ultimate
umbrella underdog undertaker unforgiven unicorn1 unknown1 username vacation vaffanculo valentin valentina valeria1
valerie1 valeriya valhalla valkyrie vampire1 vanessa1 vanhalen vanilla1 vasilisa vauxhall vendetta verbatim vergeten
verizon1 vermont1 veronika vfhbyjxrf vfhnsirf vfhufhbnf vfitymrf vfntvfnbrf vfrcbvrf vfvfgfgf vicecity victoire
victoria1 victory1 viewsonic vikings1 viktoria viktoriya villevalo vincent1 vinicius violetta viper123 virginie
vittoria vittorio vjqgfhjkm vkontakte vladimir vladislav vodafone volkswagen voltaire voyager1 vqsablpzla wachtwoord
waheguru wallace1 warcraft warcraft1 warcraft3 wareagle warhammer warlock1 warrior1 warriors warszawa wasdwasd
water123 waterboy waterloo watermelon waterpolo wdtnjxtr weare138 weather1 webhompass webmaster webster1 welcome1
welcome12 welcome123 welcome2 welkom01 werewolf weronika wert1234 werty123 westcoast western1 westham1 westlife
westside westwood wetpussy whatever whatever1 whatthefuck whiskers whiskey1 whisper1 whistler whiteboy whitesox
whitney1 whoareyou whocares whoknows wiktoria wildcat1 wildcats wildfire wildthing wildwood william1 william2
william3 william7 williams1 windmill windows1 windsurf winston1 winter01 winter11 winter12 winter99 winxclub
wishbone wolfgang wolfman1 wolfpack wolverine wonderwoman woodland woodstock woofwoof wordlife wordpass wow12345
wrangler wrestle1 wrestling1 xboxlive xsw21qaz yamahar1 yamahar6 yankees1 yankees2 yankees7 yaroslav yeahbaby
yellow12 yellow22 yfcntymrf yjdsqgfhjkm yogibear yosemite youandme yourmom1 yousuck1 z1234567 z123456789 z1x2c3v4
z1x2c3v4b5 zachary1 zanzibar zaq12345 zaq12wsx zaq1xsw2 zaq1xsw2cde3 zaqwsxcde zaqxswcde zebra123 zeppelin zerocool
zidane10 ziggy123 zildjian zx123456 zxasqw12 zxc123456 zxc123zxc zxcasd123 zxcasdqwe zxcasdqwe123 zxcv1234 zxcvasdf
zxcvb123 zxcvb12345 zxcvbn123 zxcvbnm1 zxcvbnm12 zxcvbnm123 zz8807zpl
`;

/** What {@linkcode isCommonPassword} looks into. */
const COMMON = new Set(WORDS.trim().split(/\s+/));

/** Whether a password, in whatever case, is among those that are tried first. */
export function isCommonPassword(password: string): boolean {
  return COMMON.has(password.toLowerCase());
}
